/// What a load run has counted so far.
#pragma once

#include <atomic>
#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "levee/testing/load_generator.hpp"

namespace levee::testing_detail {

/// Counts requests, for the run's report and for the user's operation.
///
/// Thread safety: `sent` and `ended` are safe; `report` once all have ended.
class load_tally {
public:
    explicit load_tally(percentile_monitor::handle operation) : operation_(operation) {}

    void sent(duration lag) noexcept {
        sent_.fetch_add(1, std::memory_order_relaxed);
        raise(longest_lag_, lag.count());
    }

    /// `since_start` is when it ended.
    void ended(bool ok, duration latency, duration since_start) noexcept {
        if (ok) {
            operation_.record(latency);
            own_.record(latency);
        } else {
            failed_.fetch_add(1, std::memory_order_relaxed);
            operation_.record_failure(latency);
            own_.record_failure(latency);
        }
        raise(last_, since_start.count());
    }

    /// Raises the elapsed time, as when nothing is under way at a stop.
    void stopped(duration since_start) noexcept { raise(last_, since_start.count()); }

    [[nodiscard]] testing::load_report report(std::uint64_t planned) const {
        const operation_stats stats = monitor_.stats(own_.name());
        testing::load_report result;
        result.planned = planned;
        result.sent = sent_.load(std::memory_order_relaxed);
        result.failed = failed_.load(std::memory_order_relaxed);
        result.succeeded = result.sent - result.failed;
        result.elapsed = duration(last_.load(std::memory_order_relaxed));
        result.longest_lag = duration(longest_lag_.load(std::memory_order_relaxed));
        result.latency = stats;
        result.failure_latency = stats.failed;
        return result;
    }

private:
    static void raise(std::atomic<duration::rep>& most, duration::rep value) noexcept {
        duration::rep former = most.load(std::memory_order_relaxed);
        while (former < value && !most.compare_exchange_weak(former, value, std::memory_order_relaxed)) {
        }
    }

    percentile_monitor monitor_{};  // of this run alone: the user's may count other things as well
    percentile_monitor::handle own_ = monitor_.operation("run");
    percentile_monitor::handle operation_;
    // Relaxed: the end of the run, a join or a mutex, orders them before `report`.
    std::atomic<std::uint64_t> sent_{0}, failed_{0};
    std::atomic<duration::rep> longest_lag_{0}, last_{0};
};

}  // namespace levee::testing_detail
