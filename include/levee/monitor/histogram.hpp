/// A histogram that tells any percentile of what it counted, within 0.8 %.
#pragma once

#include "levee/core/bytes.hpp"
#include "levee/monitor/detail/log_linear.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace levee {

namespace detail {
class recording_cell;
}

/// Counts unsigned 64-bit values (nanoseconds, bytes, …) in log-linear buckets: 128 to each power of two,
/// none wider than 0.8 % of its values. (HdrHistogram, Tene 2012; 7 sub-bits; but the whole range, with
/// memory taken only for the powers of two that occur.)
///
/// Exact: the counts, `min`, `max` and `mean` (after `-=`: see there), and all of values below 256.
/// Within 0.4 %: percentiles. An empty histogram has no percentile, minimum or mean, rather than 0.
///
/// To merge two, add them. Averaging their percentiles is wrong: ten requests of 1 ms on one server and a
/// million of 100 ms on another do not have a p99 of 50 ms.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe (many threads record through a
/// `percentile_monitor`). Cost: `record` is an index computation and an addition; memory is 1 KiB for each
/// power of two that occurs above 64, half a KiB besides, so 59 KiB at most. Counts wrap at 2^64.
class histogram {
public:
    histogram() noexcept = default;
    histogram(const histogram& other);
    histogram(histogram&& other) noexcept;
    histogram& operator=(const histogram& other);
    histogram& operator=(histogram&& other) noexcept;
    ~histogram() = default;

    /// Counts `value`, `times` times. Errors: std::bad_alloc, and nothing was counted.
    void record(std::uint64_t value, std::uint64_t times = 1);

    /// Adds the counts of `other`: the result is as if everything had been recorded in one histogram.
    /// Errors: std::bad_alloc, and nothing was added.
    histogram& operator+=(const histogram& other);

    /// Takes away an earlier state of this histogram, or a part of it: what was recorded since remains.
    /// After this `min` and `max` are bounds: no value lies outside, the extreme values may lie inside by
    /// 0.8 %. `mean` stays exact, if it was in both.
    /// Errors: std::invalid_argument if a bucket of `other` has more than this one's; nothing was changed.
    histogram& operator-=(const histogram& other);

    [[nodiscard]] friend histogram operator+(histogram a, const histogram& b) {
        a += b;
        return a;
    }
    [[nodiscard]] friend histogram operator-(histogram a, const histogram& b) {
        a -= b;
        return a;
    }

    /// Forgets everything and frees the memory.
    void clear() noexcept { *this = histogram(); }

    /// Values counted.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    // In parentheses, here and below, for programs that define min and max as macros.
    [[nodiscard]] std::optional<std::uint64_t>(min)() const noexcept;
    [[nodiscard]] std::optional<std::uint64_t>(max)() const noexcept;

    /// The sum of all values, exact up to the rounding of a double; 0 of none.
    [[nodiscard]] double sum() const noexcept { return static_cast<double>(sum_); }

    /// The arithmetic mean, exact up to the rounding of a double.
    [[nodiscard]] std::optional<double> mean() const noexcept;

    /// The standard deviation of the population, taken from the buckets' middles: each value is off by at
    /// most 0.4 %, and equal values have the deviation 0.
    [[nodiscard]] std::optional<double> standard_deviation() const noexcept;

    /// The smallest recorded value that at least `percentile` % of the values do not exceed (nearest rank),
    /// within 0.4 %; 0 is the minimum, 100 the maximum. Empty if nothing was counted.
    /// Errors: std::invalid_argument outside [0, 100]. Cost: one walk over the buckets.
    [[nodiscard]] std::optional<std::uint64_t> value_at_percentile(double percentile) const;

    /// Those of several percentiles, which must not fall, in one walk. `values` must be as long.
    void values_at_percentiles(std::span<const double> percentiles,
                               std::span<std::optional<std::uint64_t>> values) const;

    /// How many values lie in [low, high]. The buckets that low and high fall into count as a whole, so the
    /// edges are off by at most 0.8 %. Zero if low > high.
    [[nodiscard]] std::uint64_t count_between(std::uint64_t low, std::uint64_t high) const noexcept;

    /// Calls `f(lowest, highest, count)` for each bucket that counted something, from small to great values.
    template <class F>
    void for_each_bucket(F&& f) const {
        for (std::size_t octave = 0; octave < detail::log_linear::octaves; ++octave) {
            if (const auto& held = octaves_[octave]) {
                for (std::size_t bucket = 0; bucket < detail::log_linear::octave_size; ++bucket) {
                    if (const std::uint64_t times = (*held)[bucket]) {
                        f(detail::log_linear::lowest({octave, bucket}),
                          detail::log_linear::highest({octave, bucket}), times);
                    }
                }
            }
        }
    }

    /// The histogram as bytes, for files and other processes: about 3 for each bucket that is used. The
    /// form is described in histogram_bytes.cpp; it begins with a version and is the same on all machines.
    [[nodiscard]] bytes serialise() const;

    /// The histogram that `serialise` made bytes of, equal to it.
    /// Errors: levee::error with errc::invalid_data if `data` is anything else, or of a later version; it
    /// may come from anywhere. Cost: memory for at most the 58 powers of two, whatever `data` says.
    [[nodiscard]] static histogram deserialise(bytes_view data);

    /// The same counts, sum and extremes.
    friend bool operator==(const histogram& a, const histogram& b) noexcept;

private:
    friend detail::recording_cell;

    __extension__ using u128 = unsigned __int128;  // 2^64 values below 2^64 fit: the sum is exact

    using counts = std::array<std::uint64_t, detail::log_linear::octave_size>;
    std::array<std::unique_ptr<counts>, detail::log_linear::octaves> octaves_{};
    [[nodiscard]] counts& octave(std::size_t index);
    void tighten_extremes() noexcept;

    std::uint64_t count_ = 0;
    std::uint64_t min_ = UINT64_MAX;
    std::uint64_t max_ = 0;
    u128 sum_ = 0;
};

}  // namespace levee
