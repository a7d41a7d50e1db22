/// Measures from its construction to its destruction.
#pragma once

#include "levee/monitor/percentile_monitor.hpp"

#include <exception>

namespace levee {

/// Counts the time it lived, as a call of one operation: for what is no single function.
///
///     scoped_timer timer(get_user);
///     if (!connection.send(request)) {
///         timer.fail();
///     }
///
/// It counts as a failure after `fail`, and if an exception destroys it. In a coroutine that is destroyed
/// while it waits, it counts as a success: `async_measure` knows better.
///
/// Thread safety: distinct objects: safe. Must not outlive the monitor.
class scoped_timer {
public:
    explicit scoped_timer(percentile_monitor::handle operation) noexcept
        : operation_(operation), start_(operation.series_->timer.now()) {}

    scoped_timer(const scoped_timer&) = delete;
    scoped_timer& operator=(const scoped_timer&) = delete;

    ~scoped_timer() {
        if (counts_) {
            const duration took = elapsed();
            if (failed_ || std::uncaught_exceptions() > exceptions_) {
                operation_.record_failure(took);
            } else {
                operation_.record(took);
            }
        }
    }

    /// Makes it count as a failure.
    void fail() noexcept { failed_ = true; }

    /// Makes it count nothing.
    void discard() noexcept { counts_ = false; }

    /// The time since its construction.
    [[nodiscard]] duration elapsed() const noexcept { return operation_.series_->timer.elapsed(start_); }

private:
    percentile_monitor::handle operation_;
    time_stamp_counter::mark start_;
    int exceptions_ = std::uncaught_exceptions();
    bool failed_ = false;
    bool counts_ = true;
};

}  // namespace levee
