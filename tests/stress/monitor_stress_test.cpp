// S2: exact totals with threads that come and go, while others read.
#include "levee/core/random.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "levee/testing/manual_clock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using levee::duration;
using levee::histogram;
using levee::percentile_monitor;

// Below 2^40, from all magnitudes: the sum of all values stays within 64 bits.
duration drawn(levee::xoshiro256& random) {
    return duration(static_cast<duration::rep>(random() >> (24 + levee::uniform_below(random, 40))));
}

void expect_consistent(const histogram& seen) {
    if (seen.count() == 0) {
        EXPECT_FALSE(seen.value_at_percentile(50));
        return;
    }
    const auto low = (seen.min)().value();
    const auto high = (seen.max)().value();
    std::uint64_t counted = 0;
    bool first = true;
    std::uint64_t last_low = 0, last_high = 0;
    seen.for_each_bucket([&](std::uint64_t bucket_low, std::uint64_t bucket_high, std::uint64_t count) {
        EXPECT_TRUE(!first || (bucket_low <= low && low <= bucket_high)) << "the minimum is in the first";
        first = false;
        last_low = bucket_low;
        last_high = bucket_high;
        counted += count;
    });
    EXPECT_TRUE(last_low <= high && high <= last_high) << "the maximum is in the last";
    EXPECT_EQ(counted, seen.count());
    EXPECT_EQ(seen.count_between(low, high), seen.count());
    auto before = low;
    for (const double percentile : {0.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
        const auto value = seen.value_at_percentile(percentile).value();
        EXPECT_GE(value, before);
        EXPECT_LE(value, high);
        before = value;
    }
    EXPECT_GE(seen.mean().value(), static_cast<double>(low));
    EXPECT_LE(seen.mean().value(), static_cast<double>(high));
}

TEST(monitor_stress, totals_are_exact_and_reading_is_consistent_while_threads_come_and_go) {
    constexpr int lanes = 3;
    constexpr int generations = 20;  // threads one after another in each lane, reusing its slot
    constexpr int values = 2'000;
    percentile_monitor monitor;
    auto op = monitor.operation("op");
    std::atomic<int> lanes_left{lanes};
    std::vector<histogram> expected(lanes), expected_failed(lanes);

    std::vector<std::thread> threads;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        threads.emplace_back([&, lane] {
            for (int generation = 0; generation < generations; ++generation) {
                std::thread([&, lane, generation, mine = op]() mutable {
                    levee::xoshiro256 random(lane * 1000 + static_cast<std::uint64_t>(generation));
                    for (int i = 0; i < values; ++i) {
                        const duration latency = drawn(random);
                        const auto value = static_cast<std::uint64_t>(latency.count());
                        if (i % 10 == 0) {
                            mine.record_failure(latency);
                            expected_failed[lane].record(value);
                        } else {
                            mine.record(latency);
                            expected[lane].record(value);
                        }
                    }
                }).join();
            }
            lanes_left.fetch_sub(1);
        });
    }
    std::thread reader([&] {
        std::uint64_t before = 0;
        histogram last;
        do {
            const auto seen = monitor.histograms("op");
            expect_consistent(seen.succeeded);
            expect_consistent(seen.failed);
            EXPECT_GE(seen.succeeded.count(), before) << "counts never go back";
            EXPECT_NO_THROW(static_cast<void>(seen.succeeded - last)) << "each snapshot contains the last";
            before = seen.succeeded.count();
            last = seen.succeeded;
        } while (lanes_left.load() > 0);
    });
    for (auto& thread : threads) {
        thread.join();
    }
    reader.join();

    histogram all, all_failed;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        all += expected[lane];
        all_failed += expected_failed[lane];
    }
    const auto total = monitor.histograms("op");
    EXPECT_EQ(total.succeeded.count(), std::uint64_t{lanes} * generations * values * 9 / 10);
    EXPECT_EQ(total.succeeded, all);
    EXPECT_EQ(total.failed, all_failed);
    EXPECT_EQ(monitor.lost(), 0u);
}

TEST(monitor_stress, windows_lose_and_repeat_nothing_while_snapshots_are_taken) {
    constexpr std::size_t writers = 2;
    constexpr int minutes = 12;
    constexpr int snapshots_amid = 20;  // of each minute
    levee::testing::manual_clock clock;
    percentile_monitor monitor({.clock = &clock});
    auto op = monitor.operation("op");
    histogram all;
    for (int minute = 0; minute < minutes; ++minute) {
        monitor.tick();  // this minute's window begins here
        const levee::time_point begin = clock.now();
        std::vector<histogram> expected(writers);
        std::atomic<int> snapshots{0};
        std::vector<std::thread> threads;
        for (std::size_t writer = 0; writer < writers; ++writer) {
            threads.emplace_back([&, writer, mine = op]() mutable {
                levee::xoshiro256 random(static_cast<std::uint64_t>(minute) * writers + writer);
                while (snapshots.load() < snapshots_amid) {
                    const duration latency = drawn(random);
                    mine.record(latency);
                    expected[writer].record(static_cast<std::uint64_t>(latency.count()));
                }
            });
        }
        for (std::uint64_t seen = 0; snapshots.load() < snapshots_amid; snapshots.fetch_add(1)) {
            std::uint64_t now = seen;
            while (now == seen) {  // until somebody recorded since the last one
                now = monitor.histograms("op").succeeded.count();
            }
            seen = now;
            clock.advance(std::chrono::seconds(1));
            monitor.tick();
            expect_consistent(monitor.histograms("op", levee::window::last_10s).succeeded);
        }
        for (auto& thread : threads) {
            thread.join();
        }
        clock.set(begin + std::chrono::minutes(1));
        const histogram seen = monitor.histograms("op", levee::window::last_minute).succeeded;
        histogram recorded;
        for (const auto& each : expected) {
            recorded += each;
        }
        ASSERT_EQ(seen.count(), recorded.count());
        ASSERT_NO_THROW(static_cast<void>(seen - recorded)) << "all of them, in their buckets";
        all += recorded;
    }
    EXPECT_EQ(monitor.histograms("op").succeeded, all);
}

TEST(monitor_stress, extremes_agree_with_the_buckets_while_each_value_is_a_new_extreme) {
    constexpr int rounds = 300;  // a series has new extremes only for a while, so many series
    constexpr double least = 1e3, greatest = 1e15, step = 1.01;
    percentile_monitor monitor;
    std::atomic<int> current{0};
    std::thread writer([&] {
        for (int round = 0; round < rounds; ++round) {
            auto growing = monitor.operation("growing " + std::to_string(round));
            auto shrinking = monitor.operation("shrinking " + std::to_string(round));
            current = round;
            for (double value = least; value < greatest; value *= step) {
                growing.record(duration(static_cast<duration::rep>(value)));
                shrinking.record(duration(static_cast<duration::rep>(greatest * least / value)));
            }
        }
        current = rounds;
    });
    for (int round = 0; round < rounds; round = current.load()) {
        expect_consistent(monitor.histograms("growing " + std::to_string(round)).succeeded);
        expect_consistent(monitor.histograms("shrinking " + std::to_string(round)).succeeded);
    }
    writer.join();
    EXPECT_EQ(monitor.stats("growing 0").count, monitor.stats("shrinking 0").count);
    EXPECT_EQ((monitor.histograms("growing 0").succeeded.min)(), std::uint64_t{1000});
}

TEST(monitor_stress, operations_made_by_many_threads_at_once_are_made_once) {
    constexpr int thread_count = 4;
    constexpr int names = 300;
    percentile_monitor monitor({.max_operations = 200});
    std::barrier start(thread_count);
    std::vector<std::thread> threads;
    for (int t = 0; t < thread_count; ++t) {
        threads.emplace_back([&] {
            start.arrive_and_wait();
            for (int i = 0; i < names; ++i) {
                monitor.record("op " + std::to_string(i), std::chrono::microseconds(1));
                if (i % 50 == 0) {
                    static_cast<void>(monitor.names());
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto all = monitor.names();
    EXPECT_EQ(all.size(), 201u);
    std::uint64_t total = 0;
    for (const auto& name : all) {
        const auto count = monitor.stats(name).count;
        EXPECT_TRUE(name == percentile_monitor::overflow_name || count == thread_count) << name << count;
        total += count;
    }
    EXPECT_EQ(total, std::uint64_t{thread_count} * names);
}

}  // namespace
