// Windows are differences of snapshots: nothing is lost between them, nothing counted twice.
#include "levee/core/random.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "monitor/series_history.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::duration;
using levee::histogram;
using levee::percentile_monitor;
using levee::time_point;
using levee::window;
using levee::monitor_detail::snapshot_times;

using bucket = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

std::vector<bucket> buckets_of(const histogram& from) {
    std::vector<bucket> all;
    from.for_each_bucket([&](auto low, auto high, auto count) { all.emplace_back(low, high, count); });
    return all;
}

struct percentile_monitor_windows : testing::Test {
    levee::test::manual_clock_stub clock;
    percentile_monitor monitor{{.clock = &clock}};
    percentile_monitor::handle op = monitor.operation("op");

    void pass(duration span) {  // with a tick each second
        for (; span > 0s; span -= 1s) {
            clock.advance(1s);
            monitor.tick();
        }
    }
};

TEST_F(percentile_monitor_windows, forget_what_is_older_than_they_are_long) {
    op.record(5ms);
    pass(8s);
    op.record(7ms);
    op.record_failure(1s);
    pass(2s);
    auto stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.count, 2u);
    pass(1s);
    stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.count, 1u);
    EXPECT_NEAR(static_cast<double>(stats.last_10s.p50.value().count()), 7e6, 7e6 * 0.008)
        << "a bucket's bound";
    EXPECT_EQ(stats.last_10s.failures, 1u);
    EXPECT_EQ(stats.last_10s.error_rate(), 0.5);
    EXPECT_EQ(stats.last_minute.count, 2u);
    EXPECT_EQ(stats.count, 2u);
    pass(60s);
    stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.count, 0u);
    EXPECT_FALSE(stats.last_10s.p99) << "empty is no value, not 0";
    EXPECT_FALSE(stats.last_minute.p50);
    EXPECT_FALSE(stats.last_minute.error_rate());
    EXPECT_EQ(stats.last_minute.rate(), 0.0);
    EXPECT_EQ(stats.count, 2u) << "since the start";
    EXPECT_EQ(stats.min, 5ms);
}

TEST_F(percentile_monitor_windows, tell_the_rate_of_their_real_span) {
    for (int second = 0; second < 100; ++second) {
        for (int i = 0; i < 50; ++i) {
            op.record(1ms);
        }
        pass(1s);
    }
    clock.advance(500ms);
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.span, 10'500ms);
    EXPECT_EQ(stats.last_10s.count, 500u);
    EXPECT_DOUBLE_EQ(stats.last_10s.rate().value(), 500 / 10.5);
    EXPECT_EQ(stats.last_minute.span, 60'500ms);
    EXPECT_EQ(stats.span, 100'500ms);
    EXPECT_DOUBLE_EQ(stats.rate().value(), 5000 / 100.5);
}

TEST_F(percentile_monitor_windows, reach_back_to_the_start_until_they_are_full) {
    op.record(1ms);
    clock.advance(100ms);
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.count, 1u);
    EXPECT_EQ(stats.last_10s.span, 100ms);
    EXPECT_EQ(stats.last_minute.span, 100ms);
}

TEST_F(percentile_monitor_windows, without_ticks_are_as_long_as_the_reader_let_them_become) {
    op.record(1ms);
    clock.advance(40s);
    EXPECT_EQ(monitor.stats("op").last_10s.span, 40s) << "and takes a snapshot";
    op.record(2ms);
    clock.advance(30s);
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.span, 30s);
    EXPECT_EQ(stats.last_10s.count, 1u);
    EXPECT_EQ(stats.last_minute.span, 70s);
    EXPECT_EQ(stats.last_minute.count, 2u);
}

TEST_F(percentile_monitor_windows, have_no_rate_when_no_time_has_passed) {
    op.record(1ms);
    EXPECT_FALSE(monitor.stats("op").rate());
}

TEST_F(percentile_monitor_windows, take_no_harm_from_a_clock_that_steps_back) {
    op.record(1ms);
    pass(20s);
    clock.advance(-15s);
    op.record(2ms);
    monitor.tick();
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.count, 2u);
    EXPECT_EQ(stats.last_10s.count, 1u);
    EXPECT_EQ(stats.last_10s.span, 0s);
    pass(30s);
    EXPECT_EQ(monitor.stats("op").last_10s.count, 0u);
    EXPECT_EQ(monitor.stats("op").count, 2u);
}

TEST_F(percentile_monitor_windows, merged_are_the_histogram_of_the_union) {
    histogram expected, merged, merged_minutes;
    levee::xoshiro256 random(1);
    for (int second = 1; second <= 120; ++second) {
        for (int i = 0; i < 8'334; ++i) {  // 1,000,080 in all
            const auto value = random() >> (24 + uniform_below(random, 40));
            op.record(duration(static_cast<duration::rep>(value)));
            expected.record(value);
        }
        pass(1s);
        if (second % 10 == 0) {
            merged += monitor.histograms("op", window::last_10s).succeeded;
        }
        if (second % 60 == 0) {
            merged_minutes += monitor.histograms("op", window::last_minute).succeeded;
        }
    }
    const histogram whole = monitor.histograms("op").succeeded;
    EXPECT_EQ(whole, expected);
    for (const histogram& windows : {merged, merged_minutes}) {
        EXPECT_EQ(buckets_of(windows), buckets_of(expected));
        EXPECT_DOUBLE_EQ(windows.sum(), expected.sum());
        EXPECT_EQ(windows.value_at_percentile(99.9), expected.value_at_percentile(99.9));
    }
}

TEST_F(percentile_monitor_windows, are_of_new_operations_too) {
    pass(100s);
    monitor.record("late", 1ms);
    pass(5s);
    EXPECT_EQ(monitor.stats("late").last_10s.count, 1u);
    pass(10s);
    EXPECT_EQ(monitor.stats("late").last_10s.count, 0u);
    EXPECT_EQ(monitor.stats("late").last_minute.count, 1u);
}

TEST_F(percentile_monitor_windows, are_as_long_as_their_names_say_though_ticks_come_a_little_early_or_late) {
    levee::xoshiro256 random(5);
    duration late{};
    for (int second = 0; second < 200; ++second) {
        const duration next_late = duration(static_cast<duration::rep>(uniform_below(random, 50'000'000)));
        clock.advance(1s + next_late - late);
        late = next_late;
        monitor.tick();
        op.record(1ms);
        const auto stats = monitor.stats("op");
        if (second >= 61) {
            ASSERT_GE(stats.last_10s.span, 10s);
            ASSERT_LE(stats.last_10s.span, 11'100ms);
            ASSERT_LE(stats.last_minute.span, 61'100ms);
        }
    }
}

TEST_F(percentile_monitor_windows, are_never_more_than_the_whole) {
    op.record(1ms);
    pass(3s);
    std::jthread recorder([this](const std::stop_token& stop) mutable {
        while (!stop.stop_requested()) {
            op.record(2ms);
        }
    });
    for (int i = 0; i < 2000; ++i) {
        const auto stats = monitor.stats("op");
        ASSERT_LE(stats.last_10s.count, stats.last_minute.count);
        ASSERT_LE(stats.last_minute.count, stats.count);
        ASSERT_GE(stats.mean.value(), 1ms);
        ASSERT_LE(stats.mean.value(), 2ms);
    }
}

TEST_F(percentile_monitor_windows, are_in_the_statistics_of_all) {
    monitor.record("another", 1ms);
    pass(11s);
    op.record(2ms);
    const auto all = monitor.all_stats();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].name, "another");
    EXPECT_EQ(all[0].stats.count, 1u);
    EXPECT_EQ(all[0].stats.last_10s.count, 0u);
    EXPECT_EQ(all[1].name, "op");
    EXPECT_EQ(all[1].stats.last_10s.count, 1u);
}

TEST(series_history, a_snapshot_that_was_begun_twice_counts_all_of_both) {  // as when memory ran out
    const time_point start(1h);
    snapshot_times times(start);
    levee::monitor_detail::series_history history;
    histogram total;
    total.record(5);
    history.add(times.next(), total);
    total.record(7, 2);
    history.add(times.next(), total);
    times.add(start + 1s);
    history.advance(times);
    total.record(9);
    history.add(times.next(), total);
    times.add(start + 11s);
    history.advance(times);
    EXPECT_EQ(history.at_begin_of(0).count(), 3u) << "all that was before the window";
    for (int second = 12; second < 200; ++second) {
        times.add(start + second * 1s);
        if (second % 3 == 0) {
            history.advance(times);
        }
    }
    history.advance(times);
    EXPECT_EQ(buckets_of(history.at_begin_of(0)), buckets_of(total));
    EXPECT_EQ(buckets_of(history.at_begin_of(1)), buckets_of(total));
}

TEST(snapshot_times, begin_each_window_at_the_latest_snapshot_that_is_old_enough) {
    const time_point start(1h);
    snapshot_times times(start);
    for (int second = 1; second <= 200; ++second) {
        const time_point now = start + second * 1s;
        EXPECT_FALSE(times.is_due(now - 101ms));
        ASSERT_TRUE(times.is_due(now - 100ms));
        ASSERT_EQ(times.next(), static_cast<std::uint64_t>(second));
        times.add(now);
        EXPECT_EQ(times.time_of(0), std::max(start, now - 10s));
        EXPECT_EQ(times.time_of(1), std::max(start, now - 60s));
    }
    EXPECT_EQ(times.begin(), start);
}

TEST(snapshot_times, skip_over_irregular_ones) {
    const time_point start(1h);
    snapshot_times times(start);
    for (const auto at : {3s, 7s, 8s, 15s, 90s}) {
        times.add(start + at);
    }
    EXPECT_EQ(times.time_of(0), start + 15s);
    EXPECT_EQ(times.time_of(1), start + 15s);
    times.add(start + 97s);
    EXPECT_EQ(times.time_of(0), start + 15s);
    times.add(start + 100s);
    EXPECT_EQ(times.time_of(0), start + 90s);
}

}  // namespace
