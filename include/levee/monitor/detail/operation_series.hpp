/// What a percentile_monitor keeps for one operation.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/core/thread_slots.hpp"
#include "levee/core/time_stamp_counter.hpp"
#include "levee/monitor/detail/recording_cell.hpp"

#include <atomic>
#include <cstdint>
#include <string>

namespace levee::detail {

/// Two series: calls that succeeded, calls that failed. Their memory comes with their first value.
struct operation_series {
    std::string name;
    const time_stamp_counter& timer;   // the monitor's
    std::atomic<std::uint64_t>& lost;  // the monitor's
    thread_objects<recording_cell> succeeded{};
    thread_objects<recording_cell> failed{};

    /// Counts one latency; below zero is zero.
    void record(thread_objects<recording_cell>& series, duration latency) noexcept {
        const auto value = latency > duration::zero() ? static_cast<std::uint64_t>(latency.count()) : 0;
        recording_cell* const cell = series.try_local();
        if (cell == nullptr || !cell->record(value)) [[unlikely]] {
            lost.fetch_add(1, std::memory_order_relaxed);
        }
    }
};

}  // namespace levee::detail
