/// One thread's share of a series: counts that one thread writes and any may read.
#pragma once

#include "levee/monitor/detail/log_linear.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace levee {

class histogram;

namespace detail {

/// A log-linear histogram with a single writer. It only grows and is never cleared.
///
/// Each field is loaded and stored, relaxed, by the writer alone, so no addition is atomic as a whole and
/// none needs to be. A reader meanwhile sees each field as it was at some moment, and not all at the same:
/// see `add_to`.
///
/// Thread safety: `record` is for one thread at a time, one after another with a happens-before between
/// them (`thread_cells` gives both); `add_to` is safe beside it. Cost: half a KiB, and 1 KiB for each power
/// of two that occurs: 59 KiB at most.
class recording_cell {
public:
    recording_cell() = default;
    recording_cell(const recording_cell&) = delete;
    recording_cell& operator=(const recording_cell&) = delete;
    ~recording_cell();

    /// Counts `value`. False, and nothing counted, if there was no memory.
    [[nodiscard]] bool record(std::uint64_t value) noexcept {
        const log_linear::position at = log_linear::position_of(value);
        counts* octave = octaves_[at.octave].load(std::memory_order_relaxed);  // stored by this thread
        if (octave == nullptr) [[unlikely]] {
            octave = make(at.octave);
            if (octave == nullptr) {
                return false;
            }
        }
        add((*octave)[at.bucket], 1);
        add(sum_, value);
        if (value > max_.load(std::memory_order_relaxed)) [[unlikely]] {
            max_.store(value, std::memory_order_relaxed);
        }
        if (value < min_.load(std::memory_order_relaxed)) [[unlikely]] {
            min_.store(value, std::memory_order_relaxed);
        }
        return true;
    }

    /// Adds what has been counted to `into`. Its count is the sum of its buckets and its extremes lie in
    /// the outer buckets, whatever is under way; its mean may be off by the values under way.
    void add_to(histogram& into) const;

private:
    using counts = std::array<std::atomic<std::uint64_t>, log_linear::octave_size>;

    static void add(std::atomic<std::uint64_t>& to, std::uint64_t more) noexcept {
        to.store(to.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    counts* make(std::size_t octave) noexcept;

    std::atomic<std::uint64_t> sum_{0};  // of nanoseconds: wraps after 584 years of measured time
    std::atomic<std::uint64_t> min_{UINT64_MAX};
    std::atomic<std::uint64_t> max_{0};
    std::array<std::atomic<counts*>, log_linear::octaves> octaves_{};  // release in make, acquire in add_to
};

}  // namespace detail
}  // namespace levee
