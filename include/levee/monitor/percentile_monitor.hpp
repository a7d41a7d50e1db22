/// The latency percentiles of each operation of a program.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/monitor/detail/operation_series.hpp"
#include "levee/monitor/histogram.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace levee {

struct percentile_monitor_options {
    /// Operations with a series of their own. All later names share the one called
    /// `percentile_monitor::overflow_name`, so that a key or a user's text within a name cannot eat the
    /// memory. At least 1.
    std::size_t max_operations = 1000;

    /// What `measure` reads. Null: `clock::precise()`. Must outlive the monitor.
    const levee::clock* clock = nullptr;
};

/// What a series of latencies comes to. With no calls there is no latency, rather than one of zero.
struct latency_summary {
    std::uint64_t count = 0;
    std::optional<duration> min, max, mean;            ///< Exact.
    std::optional<duration> p50, p90, p95, p99, p999;  ///< Within 0.4 %; p999 is the 99.9th percentile.
};

/// The summary of a histogram of nanoseconds.
[[nodiscard]] latency_summary summarise(const histogram& nanoseconds);

/// An operation's calls since the monitor was made. The inherited fields are of calls that succeeded:
/// errors answered in no time would flatter the percentiles, timeouts would hide them.
struct operation_stats : latency_summary {
    std::uint64_t failures = 0;  ///< Calls that failed; not in `count`.
    latency_summary failed;      ///< The latencies of those.

    /// Failures among all calls; empty if there were no calls.
    [[nodiscard]] std::optional<double> error_rate() const noexcept {
        const std::uint64_t all = count + failures;
        return all == 0 ? std::nullopt
                        : std::optional(static_cast<double>(failures) / static_cast<double>(all));
    }
};

/// An operation's latencies in nanoseconds, since the monitor was made.
struct operation_histograms {
    histogram succeeded, failed;
};

/// Measures operations by name and tells their percentiles.
///
///     percentile_monitor monitor;
///     auto get_user = monitor.operation("db:get_user");                     // once: looks the name up
///     auto user = get_user.measure([&] { return db.get_user(42); });        // often
///     std::optional<duration> p99 = monitor.stats("db:get_user").p99;
///
/// Recording takes no lock and shares no line with other threads: each thread counts in cells of its own,
/// with plain loads and stores, and whoever asks for statistics adds the cells up while recording goes on.
/// What ended threads counted stays. Values of two threads, or two monitors, are merged as counts;
/// percentiles are never averaged.
///
/// Beware of coordinated omission (Tene): a loop that waits for each answer before it asks again does not
/// measure those requests that would have come while it waited. Measure from when a request was due.
///
/// Thread safety: safe. Cost: 4 KiB for an operation that is used, and 1 KiB for each thread and each power
/// of two of nanoseconds that occurs, rarely more than 12; 59 KiB a thread at most; the same again for its
/// failures, if any.
class percentile_monitor {
public:
    class handle;

    /// The series of all names beyond `max_operations`. A program may also use it as a name.
    static constexpr std::string_view overflow_name = "(other)";

    /// Errors: std::invalid_argument if `max_operations` is 0.
    explicit percentile_monitor(const percentile_monitor_options& options = {});
    percentile_monitor(const percentile_monitor&) = delete;
    percentile_monitor& operator=(const percentile_monitor&) = delete;
    ~percentile_monitor();

    /// The handle of an operation, which is made if it is new; of the overflow series if there are too
    /// many. Valid as long as the monitor. Blocks: on a mutex, shortly. Errors: std::bad_alloc.
    [[nodiscard]] handle operation(std::string_view name);

    /// As `operation(name).record(latency)` and `.measure(f)`: the name is looked up each time, under a
    /// shared lock, which costs more than recording does. Prefer handles where it is hot.
    void record(std::string_view name, duration latency);
    template <class F>
    decltype(auto) measure(std::string_view name, F&& f);

    /// An operation's statistics. For an unknown name: no calls. Cost: adds up the cells of all threads,
    /// some microseconds each; stops nobody. Errors: std::bad_alloc.
    [[nodiscard]] operation_stats stats(std::string_view name) const;

    /// The histograms behind `stats`, for other percentiles, for plots, and to be merged with others'.
    [[nodiscard]] operation_histograms histograms(std::string_view name) const;

    /// All operations, in alphabetical order; the overflow series once a name has come to it.
    [[nodiscard]] std::vector<std::string> names() const;

    /// Values not counted because there was no memory for them: recording never throws.
    [[nodiscard]] std::uint64_t lost() const noexcept;

private:
    struct registry;
    std::unique_ptr<registry> registry_;
};

/// A name looked up once: what hot paths record through.
///
/// Thread safety: safe; it is a pointer, and copies are the same operation. Must not be used once the
/// monitor has gone.
class percentile_monitor::handle {
public:
    /// Counts a successful call. Negative is zero. Cost: a few ns, no lock, no line shared with other
    /// threads; a thread's first value in a power of two allocates 1 KiB.
    void record(duration latency) noexcept { series_->record(series_->succeeded, latency); }

    /// Counts a failed call, in a series of its own.
    void record_failure(duration latency) noexcept { series_->record(series_->failed, latency); }

    /// Calls `f()` and counts how long it took: as a failure if it throws. Returns what `f` returns, or
    /// lets its exception pass. For a coroutine it would measure the time to its first suspension only.
    template <class F>
    decltype(auto) measure(F&& f) {
        // A result is made in its place, so that it may be of a type that cannot be moved: the count is
        // left to a destructor.
        timer running{*series_};
        try {
            return std::forward<F>(f)();
        } catch (...) {
            running.series = &series_->failed;
            throw;
        }
    }

    /// The name it counts under.
    [[nodiscard]] std::string_view name() const noexcept { return series_->name; }

private:
    friend percentile_monitor;
    explicit handle(detail::operation_series& series) noexcept : series_(&series) {}

    struct timer {
        explicit timer(detail::operation_series& operation) noexcept
            : owner(operation), series(&operation.succeeded), start(operation.clock.now()) {}
        timer(const timer&) = delete;
        timer& operator=(const timer&) = delete;
        ~timer() { owner.record(*series, owner.clock.now() - start); }

        detail::operation_series& owner;
        thread_cells<detail::recording_cell>* series;
        time_point start;
    };

    detail::operation_series* series_;
};

template <class F>
decltype(auto) percentile_monitor::measure(std::string_view name, F&& f) {
    return operation(name).measure(std::forward<F>(f));
}

}  // namespace levee
