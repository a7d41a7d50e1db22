/// The latency percentiles of each operation of a program.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/monitor/detail/operation_series.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/monitor/latency_summary.hpp"

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
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

    /// What `measure` and the windows read. Null: `measure` reads a `time_stamp_counter`, which is cheaper,
    /// the windows `clock::precise()`. Must outlive the monitor.
    const levee::clock* clock = nullptr;
};

/// What `percentile_monitor::prometheus` writes.
struct prometheus_options {
    /// What the metrics' names begin with, followed by '_'; letters, digits, '_' and ':', no digit first.
    std::string prefix = "levee";

    /// The upper bounds of the classic buckets, rising, above zero. Each is a time series for each
    /// operation and outcome. Empty: no histogram. A count at a bound is off by the values that share one
    /// of the monitor's own buckets with it, which are within 0.8 % of it.
    std::vector<duration> buckets{default_buckets()};

    /// The quantiles of the last minute, in (0, 1) and rising. Unlike the buckets they cannot be merged over
    /// several processes by the server. Empty: no summary.
    std::vector<double> quantiles{0.5, 0.9, 0.95, 0.99, 0.999};

    /// 100 µs to 10 s, three to each power of ten.
    [[nodiscard]] static std::vector<duration> default_buckets();
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
/// Statistics are of all the time since the monitor was made, and of the last 10 seconds and the last
/// minute: see `operation_stats`. For windows of just that length somebody calls `tick` each second
/// (`async::tick_each_second` does), or asks for statistics so often.
///
/// Beware of coordinated omission (Tene): a loop that waits for each answer before it asks again does not
/// measure those requests that would have come while it waited. Measure from when a request was due.
///
/// Thread safety: safe. In the child of a fork only recording through handles is, since another thread
/// of the parent may have held a mutex; nothing is in signal handlers.
/// Cost: 2 KiB for an operation; for each thread that uses it half a KiB, and 1 KiB for each power of two of
/// nanoseconds that occurs (2 KiB for those below 256), rarely more than 12: 59 KiB a thread at most. For the
/// windows three times that of one thread, and for each of the last 60 ticks 3 bytes for each bucket that
/// counted something in it: some 50 KiB for a busy operation. The same again for its failures, if any.
class percentile_monitor {
public:
    class handle;

    /// The series of all names beyond `max_operations`. A program may also use it as a name.
    static constexpr std::string_view overflow_name = "(other)";

    /// The longest name, in bytes, that gets a series of its own.
    static constexpr std::size_t max_name_size = 256;

    /// Errors: std::invalid_argument if `max_operations` is 0.
    explicit percentile_monitor(const percentile_monitor_options& options = {});
    percentile_monitor(const percentile_monitor&) = delete;
    percentile_monitor& operator=(const percentile_monitor&) = delete;
    ~percentile_monitor();

    /// The handle of an operation, which is made if it is new; of the overflow series if there are too many
    /// already, if the name is longer than `max_name_size`, or if there is no memory for it. Valid as long as
    /// the monitor. Blocks: if the name is new, on a mutex, shortly.
    [[nodiscard]] handle operation(std::string_view name) noexcept;

    /// As `operation(name).record(latency)` and `.measure(f)`: the name is looked up each time, which takes
    /// no lock, but costs some 20 ns more. Prefer handles where it is hot.
    void record(std::string_view name, duration latency) noexcept;
    template <class F>
    decltype(auto) measure(std::string_view name, F&& f);

    /// An operation's statistics. For an unknown name: no calls. Takes a snapshot of all operations first,
    /// as `tick`, if it is time for one. Blocks: while another thread reads or ticks; stops nobody who
    /// records. Cost: adds up the cells of all threads, some 20 µs. Errors: std::bad_alloc.
    [[nodiscard]] operation_stats stats(std::string_view name) const;

    /// Those of all operations, in the order of `names`.
    [[nodiscard]] std::vector<named_stats> all_stats() const;

    /// The histograms behind `stats`, for other percentiles, for plots, and to be merged with others'.
    [[nodiscard]] operation_histograms histograms(std::string_view name,
                                                  window of = window::since_start) const;

    /// Takes a snapshot, from which windows may begin later; nothing if less than 0.9 seconds have passed
    /// since the last one, or the clock stepped back. Blocks: while another thread reads or ticks; stops
    /// nobody who records. Cost: some 20 µs for each operation that was used in between, less than one for
    /// others; memory for it, see above. Errors: std::bad_alloc; it may be tried again.
    void tick() const;

    /// Writes all operations as a page for Prometheus, in its text format 0.0.4:
    /// `<prefix>_operation_duration_seconds`, a histogram since the start with labels `operation` and
    /// `outcome` (success, failure), `<prefix>_operation_recent_duration_seconds`, a summary with quantiles
    /// of the last minute, and `<prefix>_monitor_lost_values_total`. Names may hold any bytes: they are
    /// escaped, and what is not UTF-8 is replaced.
    /// Errors: std::invalid_argument for wrong options; the stream's own, if it throws.
    void prometheus(std::ostream& to, const prometheus_options& options = {}) const;

    /// Writes all operations as one JSON object: `{"operations": [{"name", "since_start": {"count", "rate",
    /// "min_ns", …, "failures", "error_rate", "failed": {…}}, "last_10s", "last_minute"}], "lost"}`. Times
    /// are in nanoseconds; what there is no value for is null.
    void json(std::ostream& to) const;

    /// Writes a table for people, of all operations that had calls within `of`, in at most 100 columns.
    void table(std::ostream& to, window of = window::since_start) const;

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
    /// lets its exception pass. For a coroutine it would measure the time to its first suspension only:
    /// see `async_measure`. Cost: what `time_stamp_counter` and `record` cost.
    template <class F>
    decltype(auto) measure(F&& f) {
        // A result is made in its place, so that it may be of a type that cannot be moved: the count is
        // left to a destructor.
        running_call running{*series_};
        try {
            return std::forward<F>(f)();
        } catch (...) {
            running.counts_in = &series_->failed;
            throw;
        }
    }

    /// The name it counts under.
    [[nodiscard]] std::string_view name() const noexcept { return series_->name; }

private:
    friend percentile_monitor;
    friend class scoped_timer;
    explicit handle(detail::operation_series& series) noexcept : series_(&series) {}

    struct running_call {
        explicit running_call(detail::operation_series& operation) noexcept
            : series(operation), counts_in(&operation.succeeded), start(operation.timer.now()) {}
        running_call(const running_call&) = delete;
        running_call& operator=(const running_call&) = delete;
        ~running_call() { series.record(*counts_in, series.timer.elapsed(start)); }

        detail::operation_series& series;
        thread_objects<detail::recording_cell>* counts_in;
        time_stamp_counter::mark start;
    };

    detail::operation_series* series_;
};

template <class F>
decltype(auto) percentile_monitor::measure(std::string_view name, F&& f) {
    return operation(name).measure(std::forward<F>(f));
}

}  // namespace levee
