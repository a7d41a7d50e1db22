/// What a balance simulation measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/monitor/histogram.hpp"

namespace levee::testing {

/// Requests by how they ended. `sent` is the sum of the others, warm-up not included.
struct request_counts {
    std::uint64_t sent = 0;
    std::uint64_t ok = 0;
    std::uint64_t errors = 0;      ///< Answered with a failure, by a server's fault.
    std::uint64_t overloaded = 0;  ///< Refused by a full queue.
    std::uint64_t timeouts = 0;
    std::uint64_t refused = 0;     ///< The balancer found no server for them.
    std::uint64_t unanswered = 0;  ///< The run ended before, as with a server that hangs.

    [[nodiscard]] std::uint64_t failed() const noexcept { return sent - ok; }
};

/// Counts and latencies of one simulation. Latencies are in nanoseconds, from the moment a request was sent,
/// waiting included, and of answers that were ok: look at the failures beside them.
struct balance_report {
    struct server {
        request_counts requests;
        double share = 0.0;    ///< Of all requests that were placed.
        histogram latency;     ///< As clients saw it.
        double busy = 0.0;     ///< Mean share of its slots in use, from start to end.
        std::size_t most = 0;  ///< The most requests that it held at once.
    };

    /// A stretch of time: the requests that were sent within it.
    struct slice {
        duration from{};
        request_counts requests;
        histogram latency;
        std::vector<double> shares;  ///< By server, of the requests that were placed.
    };

    request_counts requests;
    histogram latency;
    std::vector<server> servers;
    std::vector<slice> slices;  ///< Empty unless `balance_simulation_options::slice` is set.
    duration ended{};           ///< When the last answer came, from the start.

    /// A latency percentile in milliseconds; 0 if nothing was answered.
    [[nodiscard]] double milliseconds_at(double percentile) const;
};

/// A row of a table: a strategy's name and what became of it.
struct balance_row {
    std::string name;
    const balance_report* report = nullptr;  ///< Not owned; not null.
};

/// Prints one line a report: p50, p99, p99.9 and the greatest latency in ms, failures, the smallest and the
/// greatest share of a server.
void print_table(std::ostream& to, std::span<const balance_row> rows);

/// Prints the report by server: share, counts, percentiles.
std::ostream& operator<<(std::ostream& to, const balance_report& report);

}  // namespace levee::testing
