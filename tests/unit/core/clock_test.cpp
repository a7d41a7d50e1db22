#include "levee/core/clock.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace {

using namespace std::chrono_literals;
using levee::after;
using levee::duration;
using levee::time_point;

TEST(precise_clock, is_the_steady_clock) {
    const auto before = std::chrono::steady_clock::now();
    const time_point now = levee::clock::precise().now();
    EXPECT_LE(before, now);
    EXPECT_LE(now, std::chrono::steady_clock::now());
}

TEST(precise_clock, never_goes_back) {
    time_point last = levee::clock::precise().now();
    for (int i = 0; i < 10'000; ++i) {
        const time_point now = levee::clock::precise().now();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(coarse_clock, never_goes_back_and_never_runs_ahead_of_the_precise_one) {
    time_point last = levee::clock::coarse().now();
    for (int i = 0; i < 10'000; ++i) {
        const time_point now = levee::clock::coarse().now();
        ASSERT_GE(now, last);
        ASSERT_LE(now, levee::clock::precise().now());
        last = now;
    }
}

TEST(coarse_clock, moves) {
    const time_point start = levee::clock::coarse().now();
    const time_point give_up = after(levee::clock::precise().now(), 10s);
    while (levee::clock::coarse().now() == start && levee::clock::precise().now() < give_up) {
    }
    EXPECT_GT(levee::clock::coarse().now(), start);
}

TEST(clock, each_accessor_answers_one_object) {
    EXPECT_EQ(&levee::clock::coarse(), &levee::clock::coarse());
    EXPECT_EQ(&levee::clock::precise(), &levee::clock::precise());
    EXPECT_NE(&levee::clock::coarse(), &levee::clock::precise());
}

TEST(after, adds) {
    const time_point now(10s);
    EXPECT_EQ(after(now, 5s), time_point(15s));
    EXPECT_EQ(after(now, -15s), time_point(-5s));
    EXPECT_EQ(after(now, 0s), now);
    static_assert(after(time_point(1s), 1s) == time_point(2s));
}

TEST(after, is_held_at_the_ends_of_time) {
    const time_point now(1h);
    EXPECT_EQ(after(now, duration::max()), time_point::max());
    EXPECT_EQ(after(time_point::max(), 1ns), time_point::max());
    EXPECT_EQ(after(time_point::max(), -1ns), time_point::max() - 1ns);
    EXPECT_EQ(after(time_point(-1h), duration::min()), time_point::min());
    EXPECT_EQ(after(time_point::min(), -1ns), time_point::min());
    EXPECT_EQ(after(time_point(-1h), duration::max()), time_point::max() - 1h);
}

TEST(after, reaches_the_ends_exactly) {
    EXPECT_EQ(after(time_point::max() - 1ns, 1ns), time_point::max());
    EXPECT_EQ(after(time_point::min() + 1ns, -1ns), time_point::min());
    EXPECT_EQ(after(time_point(), duration::max()), time_point::max());
    EXPECT_EQ(after(time_point(), duration::min()), time_point::min());
}

struct fixed_clock final : levee::clock {
    [[nodiscard]] time_point now() const noexcept override { return time_point(42s); }
};

TEST(clock, can_be_replaced) {
    const fixed_clock fixed;
    const levee::clock& clock = fixed;
    EXPECT_EQ(clock.now(), time_point(42s));
}

}  // namespace
