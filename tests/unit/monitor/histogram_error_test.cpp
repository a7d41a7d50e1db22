// S1: the error against an exact sort, for the shapes that latencies have.
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using levee::histogram;
using levee::uniform_unit;

using generator = double (*)(levee::xoshiro256&);

struct shape {
    const char* name;
    generator draw;
};

double normal(levee::xoshiro256& random) {  // Box and Muller 1958
    const double u = 1.0 - uniform_unit(random);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform_unit(random));
}

const std::vector<shape> shapes{
    {"uniform", [](levee::xoshiro256& random) { return uniform_unit(random) * 1e9; }},
    {"exponential", [](levee::xoshiro256& random) { return -std::log(1.0 - uniform_unit(random)) * 5e6; }},
    {"bimodal",
     [](levee::xoshiro256& random) {  // hits of about 200 ns, one in 50 a load of about 3 ms
         return uniform_unit(random) < 0.98 ? 200.0 + 20.0 * normal(random) : 3e6 + 2e5 * normal(random);
     }},
    {"log_normal", [](levee::xoshiro256& random) { return std::exp(13.0 + 1.5 * normal(random)); }},
    {"constant", [](levee::xoshiro256&) { return 1'234'567.0; }},
    {"bucket_edges",  // adversarial: the last value of a bucket, from all powers of two
     [](levee::xoshiro256& random) {
         return std::ldexp(1.0, 8 + static_cast<int>(uniform_below(random, 40))) * (129.0 / 128.0) - 1.0;
     }},
    {"small", [](levee::xoshiro256& random) { return uniform_unit(random) * 300.0; }},
};

constexpr std::size_t samples = 200'000;

class histogram_error : public testing::TestWithParam<shape> {};

std::vector<std::uint64_t> draw_sorted(const shape& from) {
    levee::xoshiro256 random(2024);
    std::vector<std::uint64_t> values(samples);
    for (auto& value : values) {
        value = static_cast<std::uint64_t>(std::max(0.0, from.draw(random)));
    }
    std::sort(values.begin(), values.end());
    return values;
}

histogram counted(const std::vector<std::uint64_t>& values) {
    histogram made;
    for (const auto value : values) {
        made.record(value);
    }
    return made;
}

double relative_error(std::uint64_t estimate, std::uint64_t exact) {
    const double difference = std::abs(static_cast<double>(estimate) - static_cast<double>(exact));
    return exact == 0 ? difference : difference / static_cast<double>(exact);
}

TEST_P(histogram_error, percentiles_are_within_their_bound_of_an_exact_sort) {
    const auto values = draw_sorted(GetParam());
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
    const auto values = draw_sorted(GetParam());
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
    const auto values = draw_sorted(GetParam());
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
    const auto values = draw_sorted(GetParam());
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

INSTANTIATE_TEST_SUITE_P(shapes, histogram_error, testing::ValuesIn(shapes),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
