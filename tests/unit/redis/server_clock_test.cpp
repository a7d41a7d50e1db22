#include "redis/server_clock.hpp"

#include <gtest/gtest.h>

namespace levee::redis::detail {
namespace {

using namespace std::chrono_literals;

time_point at(duration since) {
    return time_point(1000s) + since;
}

constexpr std::int64_t server = 1'764'000'000'000'000;  // shows this at `at(0)`

TEST(server_clock, knows_nothing_until_told) {
    const server_clock clock;
    EXPECT_FALSE(clock.knows(1));
    EXPECT_FALSE(clock.knows(0));
    EXPECT_TRUE(clock.is_due(at(0s), 1));
}

TEST(server_clock, bounds_the_servers_time_from_both_sides) {
    server_clock clock;
    clock.learn(at(-2ms), at(3ms), server, 1);  // it was read somewhere in between
    EXPECT_TRUE(clock.knows(1));
    EXPECT_GE(clock.latest(at(3ms)), server + 5'000);
    EXPECT_LE(clock.latest(at(3ms)), server + 5'100);
    EXPECT_LE(clock.earliest(at(3ms)), server);
    EXPECT_GE(clock.earliest(at(3ms)), server - 100);
}

TEST(server_clock, narrows_its_bounds_by_better_answers_and_keeps_them_with_worse) {
    server_clock clock;
    clock.learn(at(-2ms), at(3ms), server, 1);
    clock.learn(at(9990us), at(10010us), server + 10'000, 1);
    EXPECT_LE(clock.latest(at(10ms)) - clock.earliest(at(10ms)), 50);
    clock.learn(at(20ms), at(120ms), server + 70'000, 1);  // it took long
    EXPECT_LE(clock.latest(at(120ms)) - clock.earliest(at(120ms)), 400);
    EXPECT_GE(clock.latest(at(120ms)), server + 120'000);
    EXPECT_LE(clock.earliest(at(120ms)), server + 120'000);
}

TEST(server_clock, follows_a_clock_that_was_set) {
    server_clock clock;
    clock.learn(at(0ms), at(1ms), server, 1);
    for (const std::int64_t step : {-3'600'000'000LL, 3'600'000'000LL}) {
        clock.learn(at(10ms), at(11ms), server + 10'000 + step, 1);
        EXPECT_GE(clock.latest(at(11ms)), server + 10'000 + step);
        EXPECT_LE(clock.latest(at(11ms)), server + 12'000 + step);
    }
}

TEST(server_clock, forgets_the_server_of_another_connection) {
    server_clock clock;
    clock.learn(at(0ms), at(1ms), server, 1);
    EXPECT_FALSE(clock.knows(2));
    EXPECT_TRUE(clock.is_due(at(1ms), 2));
    clock.learn(at(2ms), at(3ms), server + 1'000'002'000, 2);
    EXPECT_GE(clock.latest(at(3ms)), server + 1'000'002'000);
}

TEST(server_clock, asks_again_after_a_while_and_widens_until_then) {
    server_clock clock;
    clock.learn(at(0ms), at(0ms), server, 1);
    EXPECT_FALSE(clock.is_due(at(999ms), 1));
    EXPECT_TRUE(clock.is_due(at(1s), 1));
    EXPECT_GE(clock.latest(at(10s)), server + 10'005'000);
    EXPECT_LE(clock.earliest(at(10s)), server + 9'995'000);
}

}  // namespace
}  // namespace levee::redis::detail
