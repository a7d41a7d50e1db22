// S1 on ten million samples of each shape: what the unit tests check on fewer, through the monitor.
#include "levee/monitor/percentile_monitor.hpp"
#include "support/latency_shapes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace {

using namespace levee::tests;

class ten_million_latencies : public testing::TestWithParam<latency_shape> {};

TEST_P(ten_million_latencies, have_percentiles_within_the_bound_of_an_exact_sort) {
    constexpr std::size_t samples = 10'000'000;
    const auto values = draw_sorted(GetParam(), samples);
    levee::percentile_monitor monitor;
    auto op = monitor.operation("op");
    for (const auto value : values) {
        op.record(levee::duration(static_cast<levee::duration::rep>(value)));
    }
    const levee::histogram estimate = monitor.histograms("op").succeeded;
    ASSERT_EQ(estimate.count(), samples);
    EXPECT_EQ((estimate.min)(), values.front());
    EXPECT_EQ((estimate.max)(), values.back());
    for (std::size_t step = 1; step <= 100'000;
         step += step < 99'000 ? 100 : 1) {  // every 0.001 % of the tail
        const std::uint64_t exact = values[step * (samples / 100'000) - 1];
        const double percentile = static_cast<double>(step) / 1000.0;
        ASSERT_LE(relative_error(estimate.value_at_percentile(percentile).value(), exact), 0.004)
            << percentile << " % is " << exact;
    }
}

INSTANTIATE_TEST_SUITE_P(shapes, ten_million_latencies, testing::ValuesIn(latency_shapes()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
