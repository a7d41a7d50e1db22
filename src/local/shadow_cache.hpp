/// A small cache of hashes, to see how one way of dividing the cache would do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "local/window_clock.hpp"

namespace levee::local_detail {

/// Runs a `window_clock` over hashes instead of entries: the same code as the cache that it stands for, on a
/// sample of its keys and with a sample's share of its capacity.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class shadow_cache {
public:
    /// Of at most `slots` hashes, in [1, 65534]. `weighted`: bounded by weight besides. Errors:
    /// std::bad_alloc.
    shadow_cache(std::uint64_t seed, std::size_t slots, bool weighted);

    void divide(const admission& by) noexcept { clock_.divide(by); }

    /// Zero is taken as 1. Evicts what is too much.
    void set_capacity(std::size_t entries, std::uint64_t weight) noexcept;

    /// One request: whether the hash was held. It is afterwards, unless it is too heavy.
    bool access(std::uint32_t hash, std::uint64_t weight) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return clock_.size(); }
    [[nodiscard]] std::uint64_t weight() const noexcept { return clock_.amount(); }
    [[nodiscard]] std::size_t memory() const noexcept;

    // What `window_clock` asks its host.
    [[nodiscard]] bool take_reference(std::uint16_t id) noexcept {
        const bool was = clock_.is_marked(id, referenced);
        clock_.mark(id, referenced, false);
        return was;
    }

private:
    using link = std::uint16_t;
    static constexpr link none = window_clock<link>::none;

    static constexpr unsigned referenced = 0;  // a mark

    [[nodiscard]] link& chain_of(std::uint32_t hash) noexcept {
        return chains_[(static_cast<std::uint64_t>(hash * 0x9e3779b9U) * chains_.size()) >> 32];
    }
    [[nodiscard]] bool is_full_for(std::uint64_t weight) const noexcept {
        return clock_.size() >= capacity_ || free_ == none ||
               (weighted_ && clock_.amount() + weight > max_weight_);
    }
    void evict(std::uint64_t comes) noexcept;  // one; something is held

    window_clock<link> clock_;
    std::vector<std::uint32_t> hashes_;  // by slot
    std::vector<link> next_;             // by slot: in its chain, or of the free ones
    std::vector<link> chains_;
    link free_ = none;
    bool weighted_;
    std::size_t capacity_;
    std::uint64_t max_weight_ = ~std::uint64_t{0};
};

}  // namespace levee::local_detail
