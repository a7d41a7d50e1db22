/// Chooses how a cache is divided, by trying every way on a sample of its keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "local/shadow_cache.hpp"

namespace levee::local_detail {

/// Whether a key is in the sample of one in two to the power of `bits`.
[[nodiscard]] constexpr bool is_in_sample(std::uint32_t hash, std::uint64_t seed, unsigned bits) noexcept {
    const std::uint32_t mixed = (hash ^ static_cast<std::uint32_t>(seed)) * 0x9e3779b1U;
    return std::uint64_t{mixed} << bits >> 32 == 0;
}

/// Seven ways of dividing a cache, each run by a shadow cache over the same spatial sample of the keys (after
/// Waldspurger and others, "Cache modeling and optimization using miniature simulations", USENIX ATC 2017);
/// the cache is divided in the way that lately had the most hits. Two more shadows, of half and of twice the
/// size, tell what another size would bring.
///
/// No fixed division is good on every workload: a small window with a margin wins where keys are many and
/// their popularity lasts (loops, scans), a large one where what matters is recency, a small one that does
/// not believe in old fame where the workload turns to other keys.
///
/// *Shadows are as large as the sample says*: the capacity of each is the number of sampled keys that the
/// cache holds at the time, not its nominal share. The sample of a small cache may have 5 % more or fewer
/// keys than its share, which in a loop a little larger than the cache is the whole difference.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class division_advisor {
public:
    static constexpr std::size_t ways = 7;
    /// In the order of `chosen`'s answers; the cache starts with `first`.
    static constexpr std::array<admission, ways> divisions{{{0.01, 0, 15},
                                                            {0.10, 0, 15},
                                                            {0.35, 0, 2},
                                                            {0.70, 0, 15},
                                                            {0.01, 1, 15},
                                                            {0.35, 1, 15},
                                                            {0.05, 0, 2}}};
    static constexpr std::size_t first = 1;

    explicit division_advisor(std::uint64_t seed) noexcept : seed_(seed) {}

    /// For a cache that will hold about `entries`; starts anew if that changes the sample. Errors:
    /// std::bad_alloc; nothing is changed.
    void resize(std::size_t entries, bool weighted);

    /// Whether requests for this key are to be told. Always false before the first `resize`.
    [[nodiscard]] bool samples(std::uint32_t hash) const noexcept {
        return !shadows_.empty() && is_in_sample(hash, seed_, sample_bits_);
    }
    /// One key in so many is sampled: two to the power of `sample_bits`.
    [[nodiscard]] std::uint64_t sample() const noexcept { return std::uint64_t{1} << sample_bits_; }
    [[nodiscard]] unsigned sample_bits() const noexcept { return sample_bits_; }

    /// A request for a sampled key. `held_entries`, `held_weight`: of the sampled keys, what the cache holds;
    /// zero entries while it is not full.
    void access(std::uint32_t hash, std::uint64_t weight, std::size_t held_entries,
                std::uint64_t held_weight) noexcept;

    /// The best of `divisions` of late.
    [[nodiscard]] std::size_t chosen() const noexcept { return chosen_; }

    /// How many times as many misses a cache of half the size would have, and one of twice the size, as of
    /// late; empty before anything can be told.
    struct miss_factors {
        double at_half, at_twice;
    };
    [[nodiscard]] std::optional<miss_factors> factors() const noexcept;

    [[nodiscard]] std::size_t memory() const noexcept;

private:
    static constexpr std::size_t half = ways, twice = ways + 1;

    void judge() noexcept;
    void match(std::size_t entries, std::uint64_t weight) noexcept;

    std::uint64_t seed_;
    unsigned sample_bits_ = 0;
    std::size_t nominal_ = 0;                     // entries of a shadow
    std::vector<shadow_cache> shadows_{};         // one of each division, half, twice; or none
    std::array<std::uint64_t, ways + 2> hits_{};  // since the last judgement
    std::array<double, ways + 2> scores_{};       // hits, older ones counting less
    double requests_ = 0;                         // likewise
    std::uint64_t asked_ = 0;                     // since the last judgement
    std::size_t chosen_ = first;
};

}  // namespace levee::local_detail
