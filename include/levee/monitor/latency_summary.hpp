/// What latencies come to: the numbers that a percentile_monitor answers with.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/monitor/histogram.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace levee {

/// What a series of latencies comes to. With no calls there is no latency, rather than one of zero.
struct latency_summary {
    std::uint64_t count = 0;
    std::optional<duration> min{}, max{};  ///< Exact since the start; in windows within 0.8 %.
    std::optional<duration> mean{};        ///< Exact; within 0.8 % if calls came while it was read.
    std::optional<duration> p50{}, p90{}, p95{}, p99{},
        p999{};  ///< Within 0.4 %; p999 is the 99.9th percentile.
};

/// The summary of a histogram of nanoseconds.
[[nodiscard]] latency_summary summarise(const histogram& nanoseconds);

/// An operation's calls over some time. The inherited fields are of calls that succeeded: errors answered
/// in no time would flatter the percentiles, timeouts would hide them.
struct call_stats : latency_summary {
    std::uint64_t failures = 0;  ///< Calls that failed; not in `count`.
    latency_summary failed{};    ///< The latencies of those.
    duration span{};             ///< The time that all this is of; not always that which was asked for.

    /// Calls a second, failures included; empty if the span is zero.
    [[nodiscard]] std::optional<double> rate() const noexcept;

    /// Failures among all calls; empty if there were no calls.
    [[nodiscard]] std::optional<double> error_rate() const noexcept;
};

/// An operation's calls: the inherited fields are of all since the monitor was made.
///
/// A window is the difference of two snapshots, of which one is taken a second at most (see
/// `percentile_monitor::tick`). So it reaches back at least as far as its name says, usually up to a second
/// more, and as far as the last snapshot if nobody took one; or to the start. Its `span` says how far.
struct operation_stats : call_stats {
    call_stats last_10s{};
    call_stats last_minute{};
};

/// An operation's statistics, and which one's.
struct named_stats {
    std::string name{};
    operation_stats stats{};
};

/// What time statistics are of.
enum class window : std::uint8_t { since_start, last_10s, last_minute };

/// An operation's latencies in nanoseconds, over some time.
struct operation_histograms {
    histogram succeeded{}, failed{};
    duration span{};  ///< The time that they are of.
};

/// The statistics that two histograms come to.
[[nodiscard]] call_stats summarise(const operation_histograms& calls);

}  // namespace levee
