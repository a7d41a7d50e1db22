/// How often the keys that left a cache had been asked for: the memory of an admission policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "levee/core/hash.hpp"

namespace levee::local_detail {

/// Counts of keys by fingerprint, for as many keys as fit: when a bucket is full, its least used key goes,
/// the oldest of those.
///
/// An entry that is in the cache has its exact count beside it; this is only for keys that are not. So every
/// cell remembers a key that left, and no key's count is mixed with another's but by a fingerprint of 12
/// bits (one key in 256 finds a stranger's). A count-min sketch of the same size, which counts present and
/// absent keys together, costs half a point of hit ratio on average and several on single traces.
///
/// Where a key's bucket is depends on a seed: who knows the algorithm and chooses keys cannot aim.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class key_history {
public:
    static constexpr unsigned most = 15;  ///< Counts stop here.

    explicit key_history(std::uint64_t seed) noexcept : seed_(seed) {}

    /// Makes room for `keys`, two bytes each. What was remembered is lost if that changes the size. Before
    /// the first call nothing is remembered. Errors: std::bad_alloc; nothing is changed.
    void resize(std::size_t keys);

    /// Remembers that a key that leaves had `count`; zero is not remembered, more than `most` is `most`. The
    /// key is not in here. Cost: one cache line.
    void put(std::uint32_t hash, unsigned count) noexcept;

    /// The count of a key that comes back, which is forgotten here; zero: not known.
    [[nodiscard]] unsigned take(std::uint32_t hash) noexcept;

    /// Halves the counts in the bucket before `bucket`; what had one is forgotten.
    void age(std::size_t bucket) noexcept;

    /// Begins to fetch what `put` and `take` need.
    void prefetch(std::uint32_t hash) const noexcept;

    [[nodiscard]] std::size_t buckets() const noexcept { return buckets_.size(); }
    [[nodiscard]] std::size_t memory() const noexcept { return buckets_.capacity() * sizeof(cell_group); }

private:
    using cell = std::uint16_t;  // fingerprint, 12 bits; count, 4 bits; zero count: free
    static constexpr std::size_t ways = 16;

    // From the newest to the oldest; free cells are last.
    struct alignas(32) cell_group {
        cell cells[ways];
    };

    struct place {
        std::size_t bucket;
        cell fingerprint;  // in the upper 12 bits
    };
    [[nodiscard]] place place_of(std::uint32_t hash) const noexcept {
        const std::uint64_t mixed = hash_mix(hash ^ seed_);
        return {static_cast<std::size_t>((mixed >> 32) * buckets_.size() >> 32),
                static_cast<cell>((mixed & 0xfff) << 4)};
    }

    std::uint64_t seed_;
    std::vector<cell_group> buckets_{};
};

}  // namespace levee::local_detail
