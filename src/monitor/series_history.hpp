/// What a series was at earlier moments, so that a window is a difference.
#pragma once

#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"
#include "levee/monitor/histogram.hpp"

#include <array>
#include <cstdint>
#include <deque>

namespace levee::monitor_detail {

/// The times of the snapshots, common to all series of a monitor, and where each window begins.
///
/// Snapshot 0 is the monitor's beginning, when all series were empty. Without I/O: time is handed in.
class snapshot_times {
public:
    static constexpr std::array<duration, 2> lengths{std::chrono::seconds(10), std::chrono::minutes(1)};
    // A second, less what one tick may be later than the next: of ticks each second none is passed over.
    static constexpr duration interval = std::chrono::milliseconds(900);

    explicit snapshot_times(time_point begin) : times_{begin} {}

    /// Whether it is time for the next snapshot.
    [[nodiscard]] bool is_due(time_point now) const noexcept { return now >= after(times_.back(), interval); }

    /// The number that the next snapshot will have.
    [[nodiscard]] std::uint64_t next() const noexcept { return first_ + times_.size(); }

    /// Counts a snapshot taken `now`, which must be due, and moves the windows' beginnings: each to the
    /// latest snapshot that is as old as the window is long; the oldest one if none is.
    void add(time_point now);

    /// The number of the snapshot that a window begins with.
    [[nodiscard]] std::uint64_t begin_of(std::size_t window) const noexcept { return begins_[window]; }

    /// When that one was taken.
    [[nodiscard]] time_point time_of(std::size_t window) const noexcept {
        return times_[static_cast<std::size_t>(begins_[window] - first_)];
    }

    [[nodiscard]] time_point begin() const noexcept { return begin_; }

private:
    std::deque<time_point> times_;  // of the snapshots from number first_ on
    std::uint64_t first_ = 0;
    std::array<std::uint64_t, lengths.size()> begins_{};
    time_point begin_ = times_.front();
};

/// One series' snapshots: the whole of those that windows begin with, and what each later one added, in
/// few bytes.
///
/// Thread safety: unsafe.
class series_history {
public:
    /// The series was `total` at snapshot `number`, or at a try of it that failed: numbers may repeat, but
    /// not fall. Errors: std::bad_alloc; nothing has changed then.
    void add(std::uint64_t number, histogram total);

    /// Moves to where the windows begin now, as must be done before `at_begin_of`; what is needed no more is
    /// forgotten. Errors: std::bad_alloc; nothing is lost, and it may be called again.
    void advance(const snapshot_times& times);

    /// The series as it was when a window began.
    [[nodiscard]] const histogram& at_begin_of(std::size_t window) const noexcept {
        return bases_[window].whole;
    }

    /// Whether anything was counted since the last snapshot, by the sum of the cells' `activity`. To be
    /// asked once for each, before the cells are read.
    [[nodiscard]] bool has_changed(std::uint64_t activity) const noexcept { return activity != activity_; }
    void set_activity(std::uint64_t activity) noexcept { activity_ = activity; }

private:
    struct addition {
        std::uint64_t number;
        bytes added;  // as histogram::serialise makes them
    };
    struct base {
        histogram whole{};
        std::uint64_t additions = 0;  // how many, of all that ever were, are in it
    };
    std::deque<addition> additions_{};
    std::uint64_t forgotten_ = 0;  // additions that were before those
    std::uint64_t activity_ = 0;
    std::array<base, snapshot_times::lengths.size()> bases_{};
    histogram last_{};
};

}  // namespace levee::monitor_detail
