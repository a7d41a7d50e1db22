/// Latencies while they are measured, for people who wait.
#pragma once

#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/monitor/latency_summary.hpp"

namespace replay {

/// An operation's calls within the last 10 seconds.
struct live_row {
    std::string name{};
    levee::call_stats calls{};
};

/// A heading and a line for each row that has calls, or nothing: p50 and p99 in microseconds, calls a second.
/// `elapsed` is how long the operations have run: a window may reach back to before they began.
[[nodiscard]] std::vector<std::string> live_table(const std::vector<live_row>& rows, levee::duration elapsed);

}  // namespace replay
