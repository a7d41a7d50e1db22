#include "levee/monitor/histogram.hpp"

#include "levee/core/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using levee::histogram;
namespace log_linear = levee::detail::log_linear;

constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();

histogram of(const std::vector<std::uint64_t>& values) {
    histogram made;
    for (const auto value : values) {
        made.record(value);
    }
    return made;
}

// ---- buckets ----------------------------------------------------------------------------------------

TEST(log_linear, buckets_follow_each_other_without_gap_and_hold_their_values) {
    std::uint64_t next = 0;
    for (std::size_t octave = 0; octave < log_linear::octaves; ++octave) {
        for (std::size_t bucket = 0; bucket < log_linear::octave_size; ++bucket) {
            const log_linear::position at{octave, bucket};
            const auto low = log_linear::lowest(at);
            const auto high = log_linear::highest(at);
            ASSERT_EQ(low, next);
            ASSERT_GE(high, low);
            for (const auto value : {low, log_linear::middle(at), high}) {
                ASSERT_EQ(log_linear::position_of(value), at) << value;
            }
            next = high + 1;
        }
    }
    EXPECT_EQ(next, 0u) << "the last bucket ends with the last value";
}

TEST(log_linear, no_bucket_is_wider_than_a_128th_of_its_values) {
    for (std::size_t octave = 0; octave < log_linear::octaves; ++octave) {
        const log_linear::position at{octave, 0};
        const auto width = log_linear::highest(at) - log_linear::lowest(at) + 1;
        EXPECT_TRUE(width == 1 || width <= log_linear::lowest(at) / 128) << octave;
    }
}

// ---- one histogram ----------------------------------------------------------------------------------

TEST(histogram, has_no_values_when_empty) {
    const histogram empty;
    EXPECT_EQ(empty.count(), 0u);
    EXPECT_FALSE(empty.min());
    EXPECT_FALSE(empty.max());
    EXPECT_FALSE(empty.mean());
    EXPECT_FALSE(empty.standard_deviation());
    for (const double percentile : {0.0, 50.0, 99.9, 100.0}) {
        EXPECT_FALSE(empty.value_at_percentile(percentile));
    }
    EXPECT_EQ(empty.count_between(0, largest), 0u);
}

TEST(histogram, answers_one_value_exactly_at_every_percentile) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{127},
                                      std::uint64_t{128}, std::uint64_t{123'456'789}, largest - 1, largest}) {
        const histogram one = of({value});
        EXPECT_EQ(one.count(), 1u);
        EXPECT_EQ(one.min(), value);
        EXPECT_EQ(one.max(), value);
        EXPECT_EQ(one.mean(), static_cast<double>(value));
        EXPECT_EQ(one.standard_deviation(), 0.0);
        for (const double percentile : {0.0, 0.001, 50.0, 99.9, 100.0}) {
            EXPECT_EQ(one.value_at_percentile(percentile), value) << percentile;
        }
    }
}

TEST(histogram, holds_the_extreme_values_together) {
    const histogram all = of({0, 1, largest});
    EXPECT_EQ(all.min(), 0u);
    EXPECT_EQ(all.max(), largest);
    EXPECT_EQ(all.value_at_percentile(0), 0u);
    EXPECT_EQ(all.value_at_percentile(50), 1u);
    EXPECT_EQ(all.value_at_percentile(100), largest);
    EXPECT_EQ(all.mean(), (static_cast<double>(largest) + 1.0) / 3.0);
}

TEST(histogram, means_of_the_greatest_values_do_not_overflow) {
    histogram great;
    great.record(largest, 1'000'000'000'000);
    EXPECT_EQ(great.mean(), static_cast<double>(largest));
    EXPECT_EQ(great.standard_deviation(), 0.0);
}

TEST(histogram, ranks_are_nearest_ranks) {
    histogram hundred;
    for (std::uint64_t value = 1; value <= 100; ++value) {
        hundred.record(value);
    }
    EXPECT_EQ(hundred.value_at_percentile(0), 1u);
    EXPECT_EQ(hundred.value_at_percentile(0.5), 1u);
    EXPECT_EQ(hundred.value_at_percentile(1), 1u);
    EXPECT_EQ(hundred.value_at_percentile(1.01), 2u);
    EXPECT_EQ(hundred.value_at_percentile(50), 50u);
    EXPECT_EQ(hundred.value_at_percentile(99), 99u);
    EXPECT_EQ(hundred.value_at_percentile(99.9), 100u);
    EXPECT_EQ(hundred.value_at_percentile(100), 100u);
}

TEST(histogram, ranks_do_not_slip_by_rounding) {
    // 1,000 values of which one is high: it is beyond the 99.9th percentile, though 99.9 / 100 × 1000 may
    // come to a little more than 999.
    for (const std::uint64_t thousands : {1u, 3u, 7u, 1000u, 1'000'000u}) {
        histogram mostly_low;
        mostly_low.record(1, 999 * thousands);
        mostly_low.record(100, thousands);
        EXPECT_EQ(mostly_low.value_at_percentile(99.9), 1u) << thousands;
        EXPECT_EQ(mostly_low.value_at_percentile(99.91), 100u) << thousands;
    }
}

TEST(histogram, refuses_percentiles_out_of_range) {
    const histogram one = of({1});
    EXPECT_THROW(static_cast<void>(one.value_at_percentile(-0.1)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(one.value_at_percentile(100.1)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(one.value_at_percentile(std::nan(""))), std::invalid_argument);
}

TEST(histogram, counts_a_value_many_times_at_once) {
    histogram at_once;
    at_once.record(5000, 1000);
    at_once.record(7, 0);
    EXPECT_EQ(at_once, of(std::vector<std::uint64_t>(1000, 5000)));
}

TEST(histogram, counts_between_bounds_inclusively) {
    const histogram values = of({0, 10, 20, 30, 40, largest});
    EXPECT_EQ(values.count_between(10, 30), 3u);
    EXPECT_EQ(values.count_between(11, 29), 1u);
    EXPECT_EQ(values.count_between(0, 0), 1u);
    EXPECT_EQ(values.count_between(0, largest), 6u);
    EXPECT_EQ(values.count_between(41, largest), 1u);
    EXPECT_EQ(values.count_between(30, 10), 0u);
}

TEST(histogram, tells_its_buckets_from_small_to_great) {
    const histogram values = of({3, 3, 1'000'000, 70});
    std::vector<std::uint64_t> lows, counts;
    values.for_each_bucket([&](std::uint64_t low, std::uint64_t high, std::uint64_t count) {
        EXPECT_LE(low, high);
        lows.push_back(low);
        counts.push_back(count);
    });
    EXPECT_EQ(counts, (std::vector<std::uint64_t>{2, 1, 1}));
    EXPECT_EQ(lows.at(0), 3u);
    EXPECT_EQ(lows.at(1), 70u);
    EXPECT_NEAR(static_cast<double>(lows.at(2)), 1e6, 8e3);
}

// ---- several: S3, merged from buckets ---------------------------------------------------------------

TEST(histogram, the_sum_of_a_million_values_in_many_parts_is_their_union) {
    levee::xoshiro256 random(11);
    histogram whole;
    std::vector<histogram> parts(60);
    for (int i = 0; i < 1'000'000; ++i) {
        const std::uint64_t value = random() >> uniform_below(random, 64);
        whole.record(value);
        parts[levee::uniform_below(random, parts.size())].record(value);
    }
    histogram merged;
    for (const auto& part : parts) {
        merged += part;
    }
    EXPECT_EQ(merged, whole);
    for (const double percentile : {0.0, 10.0, 50.0, 99.0, 99.99, 100.0}) {
        EXPECT_EQ(merged.value_at_percentile(percentile), whole.value_at_percentile(percentile));
    }
    EXPECT_EQ(merged.mean(), whole.mean());
    EXPECT_EQ(merged.standard_deviation(), whole.standard_deviation());
}

TEST(histogram, percentiles_of_a_sum_weigh_each_value_and_not_each_part) {
    histogram quick, slow;
    quick.record(1'000'000, 10);
    slow.record(100'000'000, 1'000'000);
    const auto p50 = (quick + slow).value_at_percentile(50);
    EXPECT_NEAR(static_cast<double>(p50.value()), 1e8, 0.8e6);
}

TEST(histogram, adding_an_empty_one_changes_nothing) {
    const histogram some = of({1, 2, 3});
    EXPECT_EQ(some + histogram(), some);
    EXPECT_EQ(histogram() + some, some);
}

TEST(histogram, what_is_left_after_subtraction_is_what_was_recorded_since) {
    histogram total = of({5, 300, 70'000});
    const histogram before = total;
    const std::vector<std::uint64_t> since{10, 400, 5'000'000};
    for (const auto value : since) {
        total.record(value);
    }
    const histogram left = total - before;
    const histogram expected = of(since);
    EXPECT_EQ(left.count(), 3u);
    EXPECT_EQ(left.mean(), expected.mean());
    expected.for_each_bucket([&](std::uint64_t low, std::uint64_t high, std::uint64_t count) {
        EXPECT_EQ(left.count_between(low, high), count);
    });
    EXPECT_EQ(left + before, total);
}

TEST(histogram, extremes_after_subtraction_are_bounds_of_what_is_left) {
    levee::xoshiro256 random(3);
    for (int round = 0; round < 200; ++round) {
        const auto draw = [&] { return random() >> levee::uniform_below(random, 64); };
        histogram total;
        for (int i = 0; i < 20; ++i) {
            total.record(draw());
        }
        const histogram before = total;
        histogram since;
        for (int i = 0; i < 5; ++i) {
            const auto value = draw();
            since.record(value);
            total.record(value);
        }
        const histogram left = total - before;
        EXPECT_LE(left.min().value(), since.min().value());
        EXPECT_GE(left.max().value(), since.max().value());
        EXPECT_GE(static_cast<double>(left.min().value()), static_cast<double>(since.min().value()) * 0.992);
        EXPECT_LE(static_cast<double>(left.max().value()), static_cast<double>(since.max().value()) * 1.008);
    }
}

TEST(histogram, subtracting_itself_leaves_an_empty_one) {
    histogram some = of({1, 2'000'000, largest});
    some -= some;
    EXPECT_EQ(some, histogram());
    some.record(9);
    EXPECT_EQ(some, of({9}));
}

TEST(histogram, refuses_to_subtract_what_it_does_not_have_and_stays_as_it_was) {
    histogram some = of({1, 500, 500});
    const histogram before = some;
    try {
        some -= of({1, 500, 500, 500});
        ADD_FAILURE() << "accepted";
    } catch (const std::invalid_argument& refused) {
        EXPECT_STREQ(refused.what(),
                     "histogram::operator-=: what is taken away has 3 values from 500 to 501; it must be at "
                     "most the 2 that there are");
    }
    EXPECT_THROW(some -= of({1'000'000}), std::invalid_argument);
    EXPECT_EQ(some, before);
}

// ---- copies -----------------------------------------------------------------------------------------

TEST(histogram, copies_are_independent) {
    histogram original = of({1, 2, 3});
    histogram copy = original;
    copy.record(4);
    EXPECT_EQ(original, of({1, 2, 3}));
    original = copy;
    original.record(5);
    EXPECT_EQ(copy, of({1, 2, 3, 4}));
    histogram& alias = copy;
    copy = alias;
    EXPECT_EQ(copy, of({1, 2, 3, 4}));
}

TEST(histogram, a_moved_one_is_empty_and_usable) {
    histogram from = of({1, 2, 3});
    histogram to = std::move(from);
    EXPECT_EQ(to, of({1, 2, 3}));
    EXPECT_EQ(from, histogram());  // NOLINT(bugprone-use-after-move): that it is empty is promised
    from.record(4);
    EXPECT_EQ(from, of({4}));
    to = std::move(from);
    EXPECT_EQ(to, of({4}));
    EXPECT_EQ(from, histogram());  // NOLINT(bugprone-use-after-move)
    to.clear();
    EXPECT_EQ(to, histogram());
}

TEST(histogram, taking_away_an_empty_power_of_two_takes_nothing) {
    histogram wrapped;  // counts are modulo 2^64: this one has a power of two with all counts 0
    wrapped.record(1'000'000, std::uint64_t{1} << 63U);
    wrapped.record(1'000'000, std::uint64_t{1} << 63U);
    histogram some;
    some.record(5);
    some -= wrapped;
    EXPECT_EQ(some.count(), 1u);
}

TEST(histogram, several_percentiles_are_those_of_one_each) {
    levee::xoshiro256 random(3);
    histogram made;
    for (int i = 0; i < 5'000; ++i) {
        made.record(random() >> uniform_below(random, 64));
    }
    const std::vector<double> percentiles{0, 0.01, 1, 25, 50, 50, 90, 99, 99.9, 99.99, 100};
    std::vector<std::optional<std::uint64_t>> values(percentiles.size());
    made.values_at_percentiles(percentiles, values);
    for (std::size_t i = 0; i < percentiles.size(); ++i) {
        EXPECT_EQ(values[i], made.value_at_percentile(percentiles[i])) << percentiles[i];
    }
    const std::vector<double> falling{50, 25};
    EXPECT_THROW(made.values_at_percentiles(falling, std::span(values).first(2)), std::invalid_argument);
}

}  // namespace
