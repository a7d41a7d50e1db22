/// Counters of a cache since it was made.
#pragma once

#include <cstdint>
#include <optional>

namespace levee {

/// What a cache has counted since it was made. Nothing is ever reset; take differences for rates.
///
/// Each counter is exact; counters read while others work may belong to slightly different moments.
struct cache_stats {
    std::uint64_t hits = 0;            ///< Look-ups that found a live value.
    std::uint64_t misses = 0;          ///< Look-ups that found none, or an expired one.
    std::uint64_t loads = 0;           ///< Loads begun: how often a value was asked of its maker.
    std::uint64_t load_failures = 0;   ///< Loads that ended with an exception.
    std::uint64_t joined = 0;          ///< Callers that waited for another's load; counted as they start to.
    std::uint64_t evictions = 0;       ///< Entries removed to keep a bound (`removal_cause::size`).
    std::uint64_t evicted_weight = 0;  ///< The sum of those entries' weights.
    std::uint64_t expirations = 0;     ///< Entries removed because their life had passed.
    std::uint64_t rejected = 0;        ///< Values not stored because no room could be made for them.
    std::uint64_t listener_failures = 0;  ///< Exceptions that removal listeners threw; swallowed.

    /// hits / (hits + misses), in [0, 1]; empty when nothing was looked up.
    [[nodiscard]] constexpr std::optional<double> hit_ratio() const noexcept {
        const std::uint64_t asked = hits + misses;
        if (asked == 0) {
            return std::nullopt;
        }
        return static_cast<double>(hits) / static_cast<double>(asked);
    }

    constexpr cache_stats& operator+=(const cache_stats& other) noexcept {
        hits += other.hits;
        misses += other.misses;
        loads += other.loads;
        load_failures += other.load_failures;
        joined += other.joined;
        evictions += other.evictions;
        evicted_weight += other.evicted_weight;
        expirations += other.expirations;
        rejected += other.rejected;
        listener_failures += other.listener_failures;
        return *this;
    }
    [[nodiscard]] friend constexpr cache_stats operator+(cache_stats a, const cache_stats& b) noexcept {
        return a += b;
    }
    friend bool operator==(const cache_stats&, const cache_stats&) = default;
};

}  // namespace levee
