#include "levee/core/time_stamp_counter.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>

namespace {

using namespace std::chrono_literals;
using levee::duration;
using levee::time_point;
using levee::time_stamp_counter;
using levee::detail::tick_rate;

// A counter of 2 ticks a nanosecond, `offset` beside the truth.
tick_rate::reading at(duration time, std::int64_t offset = 0, duration uncertainty = 20ns) {
    return {static_cast<std::uint64_t>(1'000'000 + 2 * time.count() + offset), time_point(time), uncertainty};
}

constexpr std::uint64_t half_a_nanosecond = std::uint64_t{1} << 31U;

TEST(tick_rate, is_unknown_until_two_readings_are_far_enough_apart) {
    tick_rate rate;
    EXPECT_EQ(rate.nanoseconds_x32(), 0u);
    rate.add(at(1s));
    EXPECT_EQ(rate.nanoseconds_x32(), 0u);
    rate.add(at(1s + 30us));  // 40 ns of 30 µs are more than 0.1 %
    EXPECT_EQ(rate.nanoseconds_x32(), 0u);
    rate.add(at(1s + 200us));
    EXPECT_EQ(rate.nanoseconds_x32(), half_a_nanosecond);
}

TEST(tick_rate, becomes_more_precise_with_time) {
    tick_rate rate;
    rate.add(at(1s));
    rate.add(at(1s + 200us, 80));  // read 40 ns late
    const auto rough = rate.nanoseconds_x32();
    EXPECT_NE(rough, half_a_nanosecond);
    rate.add(at(100s, 80));
    EXPECT_NEAR(static_cast<double>(rate.nanoseconds_x32()), half_a_nanosecond, half_a_nanosecond * 1e-8);
    EXPECT_TRUE(rate.is_trusted());
}

TEST(tick_rate, follows_a_clock_that_a_time_server_slews) {
    tick_rate rate;
    rate.add(at(1s));
    rate.add(at(2s));
    rate.add(at(12s, -10'000'000));  // 500 ppm over ten seconds
    EXPECT_TRUE(rate.is_trusted());
}

TEST(tick_rate, gives_up_a_counter_that_stops_jumps_or_changes_its_speed) {
    for (const auto offset : std::initializer_list<std::int64_t>{-20'000'000'000, -2'500'000'000, -10'000'000,
                                                                 10'000'000, 9'000'000'000'000}) {
        tick_rate rate;
        rate.add(at(1s));
        rate.add(at(2s));
        ASSERT_NE(rate.nanoseconds_x32(), 0u);
        rate.add(at(3s, offset < -3'000'000'000 ? -4'000'000'000 : offset));
        EXPECT_FALSE(rate.is_trusted()) << offset;
        EXPECT_EQ(rate.nanoseconds_x32(), 0u);
        rate.add(at(4s));
        rate.add(at(5s));
        EXPECT_EQ(rate.nanoseconds_x32(), 0u) << "for good";
    }
}

TEST(tick_rate, never_trusts_one_that_stands_still) {
    tick_rate rate;
    rate.add({7, time_point(1s), 20ns});
    rate.add({7, time_point(2s), 20ns});
    EXPECT_FALSE(rate.is_trusted());
}

TEST(tick_rate, a_clock_that_steps_back_or_was_read_late_tells_it_nothing) {
    tick_rate rate;
    rate.add(at(2s));
    rate.add({at(3s).ticks, time_point(1s), 20ns});
    rate.add(at(3s, 0, 300ms));
    EXPECT_TRUE(rate.is_trusted());
    EXPECT_EQ(rate.nanoseconds_x32(), 0u);
}

TEST(time_stamp_counter, with_a_clock_given_reads_that_and_nothing_else) {
    levee::test::manual_clock_stub clock;
    time_stamp_counter timer(clock);
    EXPECT_FALSE(timer.uses_counter());
    const auto begun = timer.now();
    clock.advance(3ms);
    EXPECT_EQ(timer.elapsed(begun), 3ms);
    timer.recheck();
    EXPECT_FALSE(timer.uses_counter());
    clock.advance(-1h);
    EXPECT_EQ(timer.elapsed(begun), 0ns) << "never negative";
}

TEST(time_stamp_counter, agrees_with_the_clock) {
    time_stamp_counter timer;
    const auto& clock = levee::clock::precise();
    const auto outer = clock.now();
    const auto begun = timer.now();
    const auto inner = clock.now();
    while (clock.now() - inner < 20ms) {
    }
    const duration least = clock.now() - inner;
    const duration measured = timer.elapsed(begun);
    const duration greatest = clock.now() - outer;
    // Between what is surely within and what is surely around, whatever interrupts; 0.2 % and 1 µs of error.
    EXPECT_GE(measured, least - least / 500 - 1us);
    EXPECT_LE(measured, greatest + greatest / 500 + 1us);
    timer.recheck();
    EXPECT_GE(timer.elapsed(begun), measured) << "a mark stays good over a recheck";
}

}  // namespace
