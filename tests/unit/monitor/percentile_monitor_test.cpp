#include "levee/monitor/percentile_monitor.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::duration;
using levee::histogram;
using levee::percentile_monitor;

TEST(percentile_monitor, tells_the_statistics_of_what_was_recorded) {
    percentile_monitor monitor;
    auto query = monitor.operation("query");
    for (int i = 1; i <= 1000; ++i) {
        query.record(i * 100ns);
    }
    const auto stats = monitor.stats("query");
    EXPECT_EQ(stats.count, 1000u);
    EXPECT_EQ(stats.failures, 0u);
    EXPECT_EQ(stats.min, 100ns);
    EXPECT_EQ(stats.max, 100'000ns);
    EXPECT_EQ(stats.mean, 50'050ns);
    const auto near = [](std::optional<duration> estimate, double exact) {
        EXPECT_NEAR(static_cast<double>(estimate.value().count()), exact, exact * 0.004);
    };
    near(stats.p50, 50'000);
    near(stats.p90, 90'000);
    near(stats.p95, 95'000);
    near(stats.p99, 99'000);
    near(stats.p999, 99'900);
}

TEST(percentile_monitor, has_no_values_for_what_was_never_recorded) {
    percentile_monitor monitor;
    static_cast<void>(monitor.operation("known"));
    for (const auto* const name : {"known", "unknown"}) {
        const auto stats = monitor.stats(name);
        EXPECT_EQ(stats.count, 0u);
        EXPECT_EQ(stats.failures, 0u);
        EXPECT_FALSE(stats.error_rate());
        for (const auto& value : {stats.min, stats.max, stats.mean, stats.p50, stats.p90, stats.p95,
                                  stats.p99, stats.p999, stats.failed.p50}) {
            EXPECT_FALSE(value) << name;
        }
    }
    EXPECT_EQ(monitor.names(), (std::vector<std::string>{"known"})) << "asking makes no operation";
}

TEST(percentile_monitor, handles_of_one_name_are_one_operation_and_names_are_sorted) {
    percentile_monitor monitor;
    monitor.operation("b").record(1us);
    monitor.operation("a").record(2us);
    auto copy = monitor.operation("b");
    copy.record(3us);
    monitor.record("b", 5us);
    EXPECT_EQ(copy.name(), "b");
    EXPECT_EQ(monitor.stats("b").count, 3u);
    EXPECT_EQ(monitor.stats("a").count, 1u);
    EXPECT_EQ(monitor.names(), (std::vector<std::string>{"a", "b"}));
}

TEST(percentile_monitor, handles_stay_valid_while_many_operations_are_added) {
    percentile_monitor monitor;
    auto first = monitor.operation("first");
    for (int i = 0; i < 900; ++i) {
        monitor.record("operation " + std::to_string(i), 1us);
    }
    first.record(7us);
    EXPECT_EQ(monitor.stats("first").max, 7us);
}

TEST(percentile_monitor, negative_durations_count_as_zero) {
    percentile_monitor monitor;
    auto op = monitor.operation("op");
    op.record(-1ns);
    op.record(duration::min());
    op.record_failure(-5s);
    EXPECT_EQ(monitor.stats("op").count, 2u);
    EXPECT_EQ(monitor.stats("op").max, 0ns);
    EXPECT_EQ(monitor.stats("op").failed.max, 0ns);
}

TEST(percentile_monitor, holds_the_longest_duration) {
    percentile_monitor monitor;
    monitor.record("op", duration::max());
    EXPECT_EQ(monitor.stats("op").max, duration::max());
    EXPECT_EQ(monitor.stats("op").p50, duration::max());
    EXPECT_EQ(monitor.stats("op").mean, duration::max());
}

// ---- measure ----------------------------------------------------------------------------------------

struct percentile_monitor_measure : testing::Test {
    levee::test::manual_clock_stub clock;
    percentile_monitor monitor{{.clock = &clock}};
};

TEST_F(percentile_monitor_measure, counts_the_time_that_the_function_took) {
    const int answer = monitor.measure("op", [&] {
        clock.advance(5ms);
        return 42;
    });
    EXPECT_EQ(answer, 42);
    EXPECT_EQ(monitor.stats("op").count, 1u);
    EXPECT_EQ(monitor.stats("op").min, 5ms);
    EXPECT_EQ(monitor.stats("op").max, 5ms);
}

TEST_F(percentile_monitor_measure, an_exception_passes_and_counts_as_a_failure) {
    auto op = monitor.operation("op");
    op.measure([&] { clock.advance(1ms); });
    EXPECT_THROW(op.measure([&] {
        clock.advance(2s);
        throw std::runtime_error("the call");
    }),
                 std::runtime_error);
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.count, 1u);
    EXPECT_EQ(stats.max, 1ms) << "the failure is in a series of its own";
    EXPECT_EQ(stats.failures, 1u);
    EXPECT_EQ(stats.failed.count, 1u);
    EXPECT_EQ(stats.failed.min, 2s);
    EXPECT_EQ(stats.error_rate(), 0.5);
}

TEST_F(percentile_monitor_measure, a_clock_that_steps_back_counts_zero) {
    monitor.measure("op", [&] { clock.advance(-1h); });
    EXPECT_EQ(monitor.stats("op").count, 1u);
    EXPECT_EQ(monitor.stats("op").max, 0ns);
}

struct immovable {
    explicit immovable(int given) : value(given) {}
    immovable(immovable&&) = delete;
    int value;
};

TEST_F(percentile_monitor_measure, passes_on_results_of_any_kind) {
    auto op = monitor.operation("op");
    int there = 1;
    static_assert(std::is_same_v<decltype(op.measure([&]() -> int& { return there; })), int&>);
    EXPECT_EQ(&op.measure([&]() -> int& { return there; }), &there);
    EXPECT_EQ(*op.measure([] { return std::make_unique<int>(3); }), 3);
    EXPECT_EQ(op.measure([] { return immovable(4); }).value, 4);
    struct once {
        int operator()() && { return 5; }
    };
    EXPECT_EQ(op.measure(once{}), 5);
    EXPECT_EQ(monitor.measure("op", once{}), 5);
    EXPECT_EQ(monitor.stats("op").count, 5u);
}

TEST_F(percentile_monitor_measure, nested_measures_count_each_their_own_time) {
    monitor.measure("outer", [&] {
        clock.advance(1ms);
        monitor.measure("inner", [&] { clock.advance(2ms); });
    });
    EXPECT_EQ(monitor.stats("outer").max, 3ms);
    EXPECT_EQ(monitor.stats("inner").max, 2ms);
}

TEST(percentile_monitor, measures_with_the_precise_clock_by_default) {
    percentile_monitor monitor;
    const auto before = levee::clock::precise().now();
    monitor.measure("op", [] {});
    const auto all = levee::clock::precise().now() - before;
    EXPECT_LE(monitor.stats("op").max.value(), all);
}

// ---- the cap ----------------------------------------------------------------------------------------

TEST(percentile_monitor, names_beyond_the_cap_share_the_overflow_series) {
    percentile_monitor monitor({.max_operations = 2});
    monitor.record("a", 1us);
    monitor.record("b", 1us);
    EXPECT_EQ(monitor.names(), (std::vector<std::string>{"a", "b"}));
    for (int key = 0; key < 10'000; ++key) {
        monitor.record("user " + std::to_string(key), 9us);
    }
    monitor.record("a", 1us);
    EXPECT_EQ(monitor.operation("user 1").name(), percentile_monitor::overflow_name);
    EXPECT_EQ(monitor.names(), (std::vector<std::string>{"(other)", "a", "b"}));
    EXPECT_EQ(monitor.stats(percentile_monitor::overflow_name).count, 10'000u);
    EXPECT_EQ(monitor.stats("a").count, 2u) << "known names keep their series";
    EXPECT_EQ(monitor.stats("user 1").count, 0u);
}

TEST(percentile_monitor, the_overflow_series_name_takes_no_place) {
    percentile_monitor monitor({.max_operations = 1});
    monitor.record(percentile_monitor::overflow_name, 1us);
    monitor.record("a", 1us);
    EXPECT_EQ(monitor.operation("a").name(), "a");
    EXPECT_EQ(monitor.stats(percentile_monitor::overflow_name).count, 1u);
}

TEST(percentile_monitor, names_that_are_too_long_count_in_the_overflow_series) {
    percentile_monitor monitor;
    monitor.record(std::string(percentile_monitor::max_name_size, 'x'), 1us);
    monitor.record(std::string(percentile_monitor::max_name_size + 1, 'x'), 1us);
    EXPECT_EQ(monitor.names().size(), 2u);
    EXPECT_EQ(monitor.stats(percentile_monitor::overflow_name).count, 1u);
}

TEST(percentile_monitor, the_mean_is_right_though_the_sum_wraps) {
    percentile_monitor monitor;
    auto op = monitor.operation("op");
    for (int i = 0; i < 5; ++i) {
        op.record(duration::max());
    }
    EXPECT_DOUBLE_EQ(monitor.histograms("op").succeeded.sum(), 5.0 * 0x1p63);
    op.record(2s);
    EXPECT_DOUBLE_EQ(monitor.histograms("op").succeeded.sum(), 5.0 * 0x1p63 + 2e9);
}

TEST(percentile_monitor, refuses_to_keep_no_operations) {
    try {
        const percentile_monitor monitor({.max_operations = 0});
        ADD_FAILURE() << "accepted";
    } catch (const std::invalid_argument& refused) {
        EXPECT_STREQ(refused.what(),
                     "percentile_monitor_options::max_operations is 0; it must be at least 1");
    }
}

// ---- threads, histograms ----------------------------------------------------------------------------

TEST(percentile_monitor, keeps_what_ended_threads_counted) {
    percentile_monitor monitor;
    auto op = monitor.operation("op");
    for (int i = 1; i <= 100; ++i) {
        std::thread([op, i]() mutable { op.record(i * 1us); }).join();
    }
    EXPECT_EQ(monitor.stats("op").count, 100u);
    EXPECT_EQ(monitor.stats("op").min, 1us);
    EXPECT_EQ(monitor.stats("op").max, 100us);
    EXPECT_EQ(monitor.stats("op").mean, 50'500ns);
}

TEST(percentile_monitor, its_histograms_are_those_of_all_threads_together) {
    percentile_monitor monitor;
    auto op = monitor.operation("op");
    histogram expected;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        for (int i = 0; i < 1000; ++i) {
            expected.record(static_cast<std::uint64_t>(t * 1'000'000 + i * 37));
        }
        threads.emplace_back([op, t]() mutable {
            for (int i = 0; i < 1000; ++i) {
                op.record(duration(t * 1'000'000 + i * 37));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(monitor.histograms("op").succeeded, expected);
    EXPECT_EQ(monitor.histograms("op").failed, histogram());
    EXPECT_EQ(monitor.lost(), 0u);
}

TEST(percentile_monitor, two_monitors_of_one_thread_do_not_share_counts) {
    percentile_monitor one, other;
    one.record("op", 1us);
    other.record("op", 2us);
    EXPECT_EQ(one.stats("op").max, 1us);
    EXPECT_EQ(other.stats("op").min, 2us);
}

TEST(latency_summary, is_of_the_merged_histogram) {
    histogram quick, slow;
    quick.record(1'000'000, 10);
    slow.record(100'000'000, 1'000'000);
    const auto merged = levee::summarise(quick + slow);
    EXPECT_EQ(merged.count, 1'000'010u);
    EXPECT_EQ(merged.min, 1ms);
    EXPECT_GE(merged.p50.value(), 99'600us);
}

TEST(latency_summary, values_beyond_the_longest_duration_are_that_duration) {
    histogram great;
    great.record(std::numeric_limits<std::uint64_t>::max(), 2);
    const auto summary = levee::summarise(great);
    EXPECT_EQ(summary.max, duration::max());
    EXPECT_EQ(summary.p50, duration::max());
    EXPECT_EQ(summary.mean, duration::max());
}

}  // namespace
