#include "levee/monitor/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

namespace levee {

using namespace detail::log_linear;

histogram::histogram(const histogram& other)
    : count_(other.count_), min_(other.min_), max_(other.max_), sum_(other.sum_) {
    for (std::size_t i = 0; i < octaves; ++i) {
        if (other.octaves_[i]) {
            octaves_[i] = std::make_unique<counts>(*other.octaves_[i]);
        }
    }
}

histogram::histogram(histogram&& other) noexcept
    : octaves_(std::move(other.octaves_)),
      count_(std::exchange(other.count_, 0)),
      min_(std::exchange(other.min_, UINT64_MAX)),
      max_(std::exchange(other.max_, 0)),
      sum_(std::exchange(other.sum_, 0)) {}

histogram& histogram::operator=(const histogram& other) {
    return *this = histogram(other);
}

histogram& histogram::operator=(histogram&& other) noexcept {
    if (this != &other) {
        octaves_ = std::move(other.octaves_);
        count_ = std::exchange(other.count_, 0);
        min_ = std::exchange(other.min_, UINT64_MAX);
        max_ = std::exchange(other.max_, 0);
        sum_ = std::exchange(other.sum_, 0);
    }
    return *this;
}

histogram::counts& histogram::octave(std::size_t index) {
    auto& octave = octaves_[index];
    if (!octave) {
        octave = std::make_unique<counts>();
    }
    return *octave;
}

void histogram::record(std::uint64_t value, std::uint64_t times) {
    if (times == 0) {
        return;
    }
    const position at = position_of(value);
    octave(at.octave)[at.bucket] += times;
    count_ += times;
    sum_ += u128{value} * times;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
}

histogram& histogram::operator+=(const histogram& other) {
    for (std::size_t i = 0; i < octaves; ++i) {  // all the memory first: after it nothing can fail
        if (other.octaves_[i]) {
            static_cast<void>(octave(i));
        }
    }
    for (std::size_t i = 0; i < octaves; ++i) {
        if (other.octaves_[i]) {
            std::transform(octaves_[i]->begin(), octaves_[i]->end(), other.octaves_[i]->begin(),
                           octaves_[i]->begin(), std::plus<>());
        }
    }
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
    return *this;
}

histogram& histogram::operator-=(const histogram& other) {
    static constexpr counts zeros{};
    for (std::size_t i = 0; i < octaves; ++i) {
        const counts& mine = octaves_[i] ? *octaves_[i] : zeros;
        const counts& theirs = other.octaves_[i] ? *other.octaves_[i] : zeros;
        for (std::size_t bucket = 0; bucket < octave_size; ++bucket) {
            if (theirs[bucket] > mine[bucket]) {
                throw std::invalid_argument(
                    "histogram::operator-=: what is taken away has " + std::to_string(theirs[bucket]) +
                    " values from " + std::to_string(lowest({i, bucket})) + " to " +
                    std::to_string(highest({i, bucket})) + "; it must be at most the " +
                    std::to_string(mine[bucket]) + " that there are");
            }
        }
    }
    count_ -= other.count_;
    if (count_ == 0) {
        clear();
        return *this;
    }
    for (std::size_t i = 0; i < octaves; ++i) {
        if (other.octaves_[i] && octaves_[i]) {  // where there is none, none is taken
            auto& mine = *octaves_[i];
            std::transform(mine.begin(), mine.end(), other.octaves_[i]->begin(), mine.begin(),
                           std::minus<>());
            if (mine == zeros) {
                octaves_[i].reset();
            }
        }
    }
    sum_ -= std::min(sum_, other.sum_);  // less, if the other was no part of this but counts alike
    tighten_extremes();
    return *this;
}

// Holds the extremes within the outer buckets, and the sum within what the buckets allow. Not for an empty
// histogram.
void histogram::tighten_extremes() noexcept {
    u128 least_sum = 0;
    u128 greatest_sum = 0;
    std::uint64_t low = UINT64_MAX;
    std::uint64_t high = 0;
    std::uint64_t first_high = UINT64_MAX;
    std::uint64_t last_low = 0;
    bool is_first = true;
    for_each_bucket([&](std::uint64_t bucket_low, std::uint64_t bucket_high, std::uint64_t times) {
        if (is_first) {
            low = bucket_low;
            first_high = bucket_high;
            is_first = false;
        }
        least_sum += u128{bucket_low} * times;
        greatest_sum += u128{bucket_high} * times;
        last_low = bucket_low;
        high = bucket_high;
    });
    min_ = std::clamp(min_, low, first_high);
    max_ = std::clamp(max_, last_low, high);
    sum_ = std::clamp(sum_, least_sum, greatest_sum);
}

std::optional<std::uint64_t>(histogram::min)() const noexcept {
    return count_ > 0 ? std::optional(min_) : std::nullopt;
}

std::optional<std::uint64_t>(histogram::max)() const noexcept {
    return count_ > 0 ? std::optional(max_) : std::nullopt;
}

std::optional<double> histogram::mean() const noexcept {
    if (count_ == 0) {
        return std::nullopt;
    }
    // Rounding must not carry it past the extremes.
    return std::clamp(static_cast<double>(sum_) / static_cast<double>(count_), static_cast<double>(min_),
                      static_cast<double>(max_));
}

std::optional<double> histogram::standard_deviation() const noexcept {
    if (count_ == 0) {
        return std::nullopt;
    }
    const auto each = [this](auto f) {
        for_each_bucket([&](std::uint64_t low, std::uint64_t high, std::uint64_t times) {
            f(static_cast<double>(std::clamp(low + (high - low) / 2, min_, max_)),
              static_cast<double>(times));
        });
    };
    const auto n = static_cast<double>(count_);
    double centre = 0.0;  // of the middles: against the exact mean, equal values would seem to deviate
    each([&](double value, double times) { centre += value * (times / n); });
    double variance = 0.0;
    each([&](double value, double times) { variance += (value - centre) * (value - centre) * (times / n); });
    return std::sqrt(variance);
}

std::optional<std::uint64_t> histogram::value_at_percentile(double percentile) const {
    std::optional<std::uint64_t> value;
    values_at_percentiles({&percentile, 1}, {&value, 1});
    return value;
}

void histogram::values_at_percentiles(std::span<const double> percentiles,
                                      std::span<std::optional<std::uint64_t>> values) const {
    double last = 0.0;
    for (const double percentile : percentiles) {
        if (!(percentile >= last && percentile <= 100.0)) {  // written so that NaN is refused
            throw std::invalid_argument("histogram::value_at_percentile: percentile is " +
                                        std::to_string(percentile) + "; it must be in [" +
                                        (last == 0.0 ? "0" : std::to_string(last)) + ", 100]");
        }
        last = percentile;
    }
    std::size_t octave = 0;
    std::size_t bucket = 0;
    std::uint64_t passed = 0;  // values in the buckets before
    for (std::size_t i = 0; i < percentiles.size(); ++i) {
        if (count_ == 0) {
            values[i] = std::nullopt;
            continue;
        }
        // 99.9 % of 1,000 is rank 999, though the nearest double to 99.9 is a little above it.
        const double exact = percentiles[i] / 100.0 * static_cast<double>(count_);
        const double rank = std::ceil(exact * (1.0 - 4e-16));
        if (rank <= 1.0 || rank >= static_cast<double>(count_)) {
            values[i] = rank <= 1.0 ? min_ : max_;
            continue;
        }
        const auto wanted = static_cast<std::uint64_t>(rank);
        values[i] = max_;
        for (; octave < octaves; ++octave, bucket = 0) {
            if (!octaves_[octave]) {
                continue;
            }
            const counts& held = *octaves_[octave];
            while (bucket < octave_size && passed + held[bucket] < wanted) {
                passed += held[bucket++];
            }
            if (bucket < octave_size) {
                values[i] = std::clamp(middle({octave, bucket}), min_, max_);
                break;
            }
        }
    }
}

std::uint64_t histogram::count_between(std::uint64_t low, std::uint64_t high) const noexcept {
    if (low > high) {
        return 0;
    }
    const std::uint64_t first = lowest(position_of(low));
    const std::uint64_t last = highest(position_of(high));
    std::uint64_t total = 0;
    for_each_bucket([&](std::uint64_t bucket_low, std::uint64_t bucket_high, std::uint64_t times) {
        total += bucket_low >= first && bucket_high <= last ? times : 0;
    });
    return total;
}

bool operator==(const histogram& a, const histogram& b) noexcept {
    static constexpr histogram::counts zeros{};
    if (a.count_ != b.count_ || a.min_ != b.min_ || a.max_ != b.max_ || a.sum_ != b.sum_) {
        return false;
    }
    for (std::size_t i = 0; i < octaves; ++i) {
        if ((a.octaves_[i] ? *a.octaves_[i] : zeros) != (b.octaves_[i] ? *b.octaves_[i] : zeros)) {
            return false;
        }
    }
    return true;
}

}  // namespace levee
