/// Which keys may have pending writes: what lets reads of the others pass without a lock.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace levee::cache_detail {

/// Counts by hash. A key that was added and not removed is never reported as absent to who knows of its
/// write.
///
/// Thread safety: safe. Cost: a look is one load.
class pending_filter {
public:
    /// For about so many keys at a time.
    explicit pending_filter(std::size_t keys)
        : mask_(std::bit_ceil(keys < 256 ? std::size_t{1024} : (keys > 65'536 ? 65'536 : keys) * 4) - 1),
          cells_(std::make_unique<cell[]>(mask_ + 1)) {}

    [[nodiscard]] bool may_hold(std::uint64_t hash) const noexcept {
        return at(hash).keys.load(std::memory_order_acquire) != 0;  // pairs with add
    }
    void add(std::uint64_t hash) noexcept { at(hash).keys.fetch_add(1, std::memory_order_release); }
    void remove(std::uint64_t hash) noexcept { at(hash).keys.fetch_sub(1, std::memory_order_release); }

    /// How many writes were accepted of keys like this: changes with each. Changed under the key's lock.
    [[nodiscard]] std::uint32_t writes(std::uint64_t hash) const noexcept {
        return at(hash).writes.load(std::memory_order_acquire);
    }
    void count_write(std::uint64_t hash) noexcept { at(hash).writes.fetch_add(1, std::memory_order_release); }

private:
    struct cell {
        std::atomic<std::uint32_t> keys{0}, writes{0};
    };
    [[nodiscard]] cell& at(std::uint64_t hash) const noexcept { return cells_[(hash >> 16U) & mask_]; }

    std::size_t mask_;
    std::unique_ptr<cell[]> cells_;
};

}  // namespace levee::cache_detail
