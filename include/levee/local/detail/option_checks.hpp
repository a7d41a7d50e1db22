/// The type-free part of a local cache's options: checks, and the arithmetic of lives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

namespace levee::local_detail {

/// The fields of `local_cache_options` that can be wrong.
struct checked_options {
    std::size_t max_entries;
    std::size_t max_weight;
    bool has_weigher;
    duration time_to_live;
    duration time_to_idle;
    double ttl_jitter;
    duration compute_timeout;
    std::size_t shards;
};

/// Errors: std::invalid_argument naming the first field that is out of range.
void check_options(const checked_options& options);

/// The number of shards to make: a power of two, fewer than asked for small bounds.
[[nodiscard]] std::size_t shard_count(const checked_options& options) noexcept;

/// What nobody outside can know: from std::random_device, or from the clock where there is none.
[[nodiscard]] std::uint64_t random_seed() noexcept;

/// Errors: std::invalid_argument when `ttl` is negative.
void check_ttl(duration ttl);

/// Errors: std::invalid_argument when `max_entries` is zero and no weight bound is left.
void check_max_entries(std::size_t max_entries, std::size_t max_weight);

/// How many of `max_entries`, over all shards, one shard has to expect: rounded up, and at most as many as
/// its index can have. Zero: not known.
[[nodiscard]] std::size_t entries_in_a_shard(std::size_t max_entries, std::size_t shards) noexcept;

/// When a life of `ttl` that begins at `now` ends: ttl × (1 − jitter × u), u drawn from [0, 1), and never
/// less than a nanosecond. time_point::max(), which is never, when `ttl` is zero or duration::max().
[[nodiscard]] time_point end_of_life(time_point now, duration ttl, double jitter,
                                     xoshiro256& generator) noexcept;

}  // namespace levee::local_detail
