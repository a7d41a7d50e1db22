#include "replay/live_table.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace replay {
namespace {

using namespace std::chrono_literals;

levee::call_stats calls(std::uint64_t count, levee::duration p50, levee::duration p99, levee::duration span) {
    levee::call_stats stats;
    stats.count = count;
    stats.p50 = p50;
    stats.p99 = p99;
    stats.span = span;
    return stats;
}

TEST(live_table, has_percentiles_in_microseconds_and_calls_a_second) {
    const auto lines = live_table(
        {{"hit", calls(4'120'000, 410ns, 1300ns, 10s)}, {"miss", calls(500, 31us, 1200us, 10s)}}, 1min);
    EXPECT_EQ(lines, (std::vector<std::string>{"  µs, last 10 s         p50        p99   a second",
                                               "  hit                  0.41       1.30    412,000",
                                               "  miss                 31.0      1,200         50"}));
}

TEST(live_table, does_not_count_the_time_before_the_operations_began) {
    const auto lines = live_table({{"hit", calls(1000, 1us, 1us, 10s)}}, 2s);
    EXPECT_NE(lines.at(1).find(" 500"), std::string::npos) << lines[1];
}

TEST(live_table, leaves_out_what_has_no_calls) {
    EXPECT_TRUE(live_table({{"hit", {}}, {"miss", {}}}, 1s).empty());
    EXPECT_EQ(live_table({{"hit", {}}, {"miss", calls(1, 1us, 1us, 1s)}}, 1s).size(), 2U);
}

}  // namespace
}  // namespace replay
