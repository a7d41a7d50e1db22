/// What a cache over several levels has counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "levee/local/cache_stats.hpp"
#include "levee/resilience/circuit_breaker.hpp"

namespace levee {

/// The counters of L1 and of the loads (`hits` and `misses` are L1's), and those of the levels behind it.
/// Nothing is ever reset; take differences for rates.
struct cache_statistics : cache_stats {
    std::uint64_t refreshes = 0;      ///< Loads begun while a usable value was there.
    std::uint64_t remote_hits = 0;    ///< Values, or the knowledge that there is none, taken from L2.
    std::uint64_t remote_misses = 0;  ///< L2 was asked and had nothing usable.
    std::uint64_t leases_won = 0;     ///< Loads made for all processes.
    std::uint64_t leases_waited = 0;  ///< Loads of other processes that were waited for.
    std::uint64_t fills_refused = 0;  ///< Loaded values that L2 refused: invalidated meanwhile, or too late.

    // Expired values that were answered, by reason.
    std::uint64_t stale_while_revalidate = 0;  ///< While another is loaded.
    std::uint64_t stale_in_backoff = 0;        ///< After a failed load, without another.
    std::uint64_t stale_if_error = 0;          ///< In place of a failed load's error.
    std::uint64_t stale_on_timeout = 0;        ///< After `soft_timeout`, or `lease_wait`.

    std::uint64_t suspects = 0;  ///< Look-ups that found a value which an invalidation may have missed.
    std::uint64_t suspects_served = 0;  ///< Such values answered, because L2 could not be asked.
    std::uint64_t gaps = 0;             ///< Times that messages of the backplane may have been missed.

    std::uint64_t remote_failures = 0;   ///< Commands that L2 failed or did not answer in time.
    std::uint64_t remote_refused = 0;    ///< Commands not sent: the breaker was open, or a removal is queued.
    std::uint64_t remote_foreign = 0;    ///< Entries that could not be read: another format, or corrupt.
    std::uint64_t remote_oversized = 0;  ///< Keys or values too long for L2.
    std::uint64_t unleased_loads = 0;    ///< Loads without L2: at most `max_concurrent_loads` at a time.
    std::uint64_t loads_held_up = 0;     ///< Of those, how many had to wait for their turn.
    std::size_t queued = 0;              ///< Removals that L2 or the peers have not confirmed, now.
    circuit_state breaker = circuit_state::closed;  ///< L2's, now.
};

}  // namespace levee
