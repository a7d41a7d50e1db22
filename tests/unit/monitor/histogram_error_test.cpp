// S1: the error against an exact sort, for the shapes that latencies have.
#include "support/latency_shapes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using levee::histogram;
using namespace levee::tests;

constexpr std::size_t samples = 200'000;

class histogram_error : public testing::TestWithParam<latency_shape> {};

TEST_P(histogram_error, percentiles_are_within_their_bound_of_an_exact_sort) {
    const auto values = draw_sorted(GetParam(), samples);
    const histogram estimate = counted(values);
    for (std::size_t per_mille_tenths = 1; per_mille_tenths <= 10'000; ++per_mille_tenths) {
        const double percentile = static_cast<double>(per_mille_tenths) / 100.0;
        const std::size_t rank = (per_mille_tenths * samples + 9'999) / 10'000;
        const std::uint64_t exact = values[rank - 1];
        ASSERT_LE(relative_error(estimate.value_at_percentile(percentile).value(), exact), 0.004)
            << percentile << " % is " << exact;
    }
    EXPECT_EQ(estimate.value_at_percentile(0), values.front());
    EXPECT_EQ(estimate.value_at_percentile(100), values.back());
}

TEST_P(histogram_error, counts_extremes_and_mean_are_exact) {
    const auto values = draw_sorted(GetParam(), samples);
    const histogram estimate = counted(values);
    EXPECT_EQ(estimate.count(), samples);
    EXPECT_EQ(estimate.min(), values.front());
    EXPECT_EQ(estimate.max(), values.back());
    std::uint64_t sum = 0;  // far below 2^64 for these shapes
    for (const auto value : values) {
        sum += value;
    }
    EXPECT_DOUBLE_EQ(estimate.mean().value(), static_cast<double>(sum) / static_cast<double>(samples));
}

TEST_P(histogram_error, standard_deviation_is_within_its_bound) {
    const auto values = draw_sorted(GetParam(), samples);
    const histogram estimate = counted(values);
    const double mean = estimate.mean().value();
    double squares = 0.0;
    double greatest_error = 0.0;
    for (const auto value : values) {
        const auto v = static_cast<double>(value);
        squares += (v - mean) * (v - mean);
        greatest_error = std::max(greatest_error, v * 0.004);
    }
    const double exact = std::sqrt(squares / static_cast<double>(samples));
    // Values off by at most e move the deviation by at most e.
    EXPECT_NEAR(estimate.standard_deviation().value(), exact, std::min(greatest_error, exact * 0.01 + 1e-9));
}

TEST_P(histogram_error, counts_between_bounds_are_right_up_to_the_buckets_at_the_edges) {
    const auto values = draw_sorted(GetParam(), samples);
    const histogram estimate = counted(values);
    const auto exact = [&](double low, double high) {
        return static_cast<std::uint64_t>(
            std::upper_bound(values.begin(), values.end(), static_cast<std::uint64_t>(high)) -
            std::lower_bound(values.begin(), values.end(), static_cast<std::uint64_t>(low)));
    };
    for (const auto& [from, to] : {std::pair{10, 90}, {50, 99}, {25, 50}, {1, 100}}) {
        const std::uint64_t low = values[samples / 100 * static_cast<std::size_t>(from) - 1];
        const std::uint64_t high = values[samples / 100 * static_cast<std::size_t>(to) - 1];
        const auto counted_between = estimate.count_between(low, high);
        const auto l = static_cast<double>(low);
        const auto h = static_cast<double>(high);
        EXPECT_GE(counted_between, exact(l, h));
        EXPECT_LE(counted_between, exact(l * 0.992 - 1.0 > 0.0 ? l * 0.992 - 1.0 : 0.0, h * 1.008 + 1.0));
    }
}

INSTANTIATE_TEST_SUITE_P(shapes, histogram_error, testing::ValuesIn(latency_shapes()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
