/// What a shard's entries weigh.
#pragma once

#include <cstddef>
#include <cstdint>

#include "levee/local/detail/chunked_array.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

/// Weights by id, zero at first: four bytes each if none is 2^32 or more, else eight.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class entry_weights {
public:
    /// `wide`: there may be weights of 2^32 and more.
    explicit entry_weights(bool wide) noexcept : is_wide_(wide) {}

    /// Errors: std::bad_alloc; what was there stays.
    void reserve(std::size_t limit) {
        low_.reserve(limit);
        if (is_wide_) {
            high_.reserve(limit);
        }
    }
    [[nodiscard]] std::size_t operator[](entry_id id) const noexcept {
        const std::size_t low = low_[id];
        return is_wide_ ? low | static_cast<std::size_t>(std::uint64_t{high_[id]} << 32) : low;
    }
    void set(entry_id id, std::size_t weight) noexcept {
        low_[id] = static_cast<std::uint32_t>(weight);
        if (is_wide_) {
            high_[id] = static_cast<std::uint32_t>(std::uint64_t{weight} >> 32);
        }
    }
    [[nodiscard]] std::size_t memory() const noexcept { return low_.memory() + high_.memory(); }

private:
    bool is_wide_;
    chunked_array<std::uint32_t> low_{}, high_{};
};

}  // namespace levee::local_detail
