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
/// them (`thread_cells` gives both); `add_to` is safe beside it. Cost: half a KiB, 2 KiB for values below
/// 256 and 1 KiB for each power of two above that occurs: 59 KiB at most.
class recording_cell {
public:
    recording_cell() = default;
    recording_cell(const recording_cell&) = delete;
    recording_cell& operator=(const recording_cell&) = delete;
    ~recording_cell();

    /// Counts `value`. False, and nothing counted, if there was no memory.
    [[nodiscard]] bool record(std::uint64_t value) noexcept {
        const unsigned top = log_linear::top_bit(value);
        const std::uintptr_t counts = first_[top - log_linear::sub_bits].load(std::memory_order_relaxed);
        if (counts == 0) [[unlikely]] {
            return record_in_new_block(value);
        }
        const std::uint64_t steps = value >> (top - log_linear::sub_bits);
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        add(*reinterpret_cast<count*>(counts + steps * sizeof(count)), 1);
        add(sum_, value + 1);
        const std::uint64_t least = least_.load(std::memory_order_relaxed);
        if (value - least > span_.load(std::memory_order_relaxed)) [[unlikely]] {  // above, or wrapped
            widen(value);
        }
        return true;
    }

    /// Adds what has been counted to `into`, whose count will be that of its buckets, whatever is under way.
    /// The sum and the extremes may be of other moments than the buckets, and are kept within what those
    /// allow. Errors: std::bad_alloc; `into` is in no use then.
    void add_to(histogram& into) const;

    /// To be called when all cells have been added: brings the extremes into the outer buckets.
    static void finish(histogram& sum_of_cells) noexcept;

    /// Another number than before if something has been counted since. Cost: one load.
    [[nodiscard]] std::uint64_t activity() const noexcept { return sum_.load(std::memory_order_relaxed); }

private:
    using count = std::atomic<std::uint64_t>;
    static constexpr std::size_t blocks = 64 - log_linear::sub_bits;  // by the values' highest bit

    // Block 0 has a count for each value below 256, and each later one for 128 steps of its power of two.
    static constexpr std::size_t size_of(std::size_t block) noexcept {
        return block == 0 ? 2 * log_linear::octave_size : log_linear::octave_size;
    }

    static void add(count& to, std::uint64_t more) noexcept {
        to.store(to.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    [[nodiscard]] bool record_in_new_block(std::uint64_t value) noexcept;
    void widen(std::uint64_t value) noexcept;
    [[nodiscard]] const count* block(std::size_t index) const noexcept;

    // Where a block's count of step 0 is, or would be: later blocks begin with step 128. As a number, since
    // a pointer must not point outside of its array. 0: there is no block. Stored with release.
    std::array<std::atomic<std::uintptr_t>, blocks> first_{};
    count sum_{0};    // of each value and one, so that zeros show in `activity`; modulo 2^64
    count least_{0};  // one range instead of two extremes: one comparison tells that a value is within
    count span_{0};   // the greatest is this much above the least; meaningless before the first value
};

}  // namespace detail
}  // namespace levee
