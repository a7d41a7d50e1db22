/// A pool in figures.
#pragma once

#include <cstddef>
#include <cstdint>

#include "levee/monitor/histogram.hpp"

namespace levee {

/// The first four are the state now, each taken at a slightly different moment; the rest counts since the
/// pool was made.
struct pool_stats {
    std::size_t in_use = 0;
    std::size_t idle = 0;
    std::size_t connecting = 0;  ///< Being made.
    std::size_t checking = 0;    ///< Being validated or reset.
    std::size_t waiting = 0;     ///< Callers in the queue.

    std::uint64_t acquired = 0;
    std::uint64_t created = 0;
    std::uint64_t connect_failures = 0;
    std::uint64_t timeouts = 0;   ///< Callers whose deadline passed.
    std::uint64_t cancelled = 0;  ///< Callers who gave up.
    std::uint64_t refused = 0;    ///< Callers who found the queue full.
    std::uint64_t discarded = 0;  ///< By their holders.
    std::uint64_t expired = 0;    ///< By `max_lifetime`.
    std::uint64_t idled_out = 0;  ///< By `idle_timeout`.
    std::uint64_t invalid = 0;    ///< By `is_valid` or `reset`.
    std::uint64_t leaks = 0;      ///< Leases reported as leaked.

    /// How long those who got a connection waited for it, in nanoseconds; 0 for those who did not wait.
    histogram waits{};
};

}  // namespace levee
