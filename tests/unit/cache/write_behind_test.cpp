#include "levee/cache/write_behind.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/store/source.hpp"
#include "levee/testing/simulation.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

using namespace tests;

TEST(write_behind, acknowledges_before_the_source_has_it_and_flushes_when_the_interval_has_passed) {
    bench b({.flush_interval = 1s});
    b.cache.put(1, "one");
    b.world.run_for(999ms);
    EXPECT_TRUE(b.db->rows.empty());
    EXPECT_EQ(b.cache.stats().pending, 1U);
    b.world.run_for(2ms);
    EXPECT_EQ(b.db->rows.at(1), "one");
    EXPECT_EQ(b.cache.stats().pending, 0U);
    EXPECT_EQ(b.cache.stats().pending_bytes, 0U);
}

TEST(write_behind, sends_a_full_batch_without_waiting) {
    bench b({.flush_interval = 1h, .batch_size = 3});
    b.cache.put(1, "a");
    b.cache.put(2, "b");
    b.world.run_for(1s);
    EXPECT_TRUE(b.db->batches.empty());
    b.cache.put(3, "c");
    b.world.run_for(1ms);
    ASSERT_EQ(b.db->batches.size(), 1U);
    EXPECT_EQ(b.db->batches[0].size(), 3U);
}

TEST(write_behind, sends_what_reaches_the_bytes_of_a_batch) {
    bench b({.flush_interval = 1h, .batch_bytes = 1000, .size_of = [](int, const std::string&) {
                 return std::size_t{600};
             }});
    b.cache.put(1, "a");
    b.world.run_for(1s);
    EXPECT_TRUE(b.db->batches.empty());
    b.cache.put(2, "b");
    b.world.run_for(1ms);
    ASSERT_EQ(b.db->batches.size(), 1U);
    EXPECT_EQ(b.db->batches[0].size(), 1U);  // two would be more than a batch
}

TEST(write_behind, coalesces_puts_and_erasures_of_a_key_to_the_last) {
    bench b;
    b.cache.put(1, "first");
    b.cache.erase(1);
    b.cache.put(1, "last");
    b.cache.put(2, "kept");
    b.cache.erase(2);
    EXPECT_TRUE(b.flush());
    ASSERT_EQ(b.db->batches.size(), 1U);
    EXPECT_EQ(b.db->batches[0].size(), 2U);
    EXPECT_EQ(b.db->rows, (std::map<int, std::string>{{1, "last"}}));
    EXPECT_EQ(b.cache.stats().coalesced, 3U);
    EXPECT_EQ(b.cache.stats().accepted, 5U);
}

TEST(write_behind, reads_its_writes_while_they_are_pending_and_after_l1_lost_them) {
    bench b({}, 1);
    b.db->rows[9] = "old";
    b.cache.put(9, "new");
    for (int key = 100; key < 110; ++key) {
        b.cache.underlying().put(key, "crowd");
    }
    EXPECT_EQ(b.cache.try_get(9), "new");
    EXPECT_EQ(b.cache.lookup(9).value, "new");
    EXPECT_EQ(b.get([&](auto token) { return b.cache.async_get(9, token); }, 1ms), "new");
    b.cache.erase(9);
    EXPECT_EQ(b.get([&](auto token) { return b.cache.async_get(9, token); }, 1ms), std::nullopt);
    EXPECT_EQ(b.cache.lookup(9).state, entry_state::negative);
    EXPECT_EQ(b.db->loads, 0U);
}

TEST(write_behind, keeps_a_newer_write_behind_the_one_that_is_with_the_source) {
    bench b({.flush_interval = 0s});
    std::vector<std::string> arrived;
    b.db->before_store = [&](const std::vector<text_op>& batch) -> boost::asio::awaitable<void> {
        arrived.push_back(batch.front().value.value_or("erased"));
        co_await b.world.scheduler()->sleep_until(b.world.now() + 1s);
    };
    b.cache.put(1, "a");
    b.world.run_for(100ms);
    b.cache.put(1, "b");
    b.cache.put(1, "c");
    b.world.run_for(100ms);
    EXPECT_EQ(arrived, (std::vector<std::string>{"a"}));
    EXPECT_EQ(b.cache.try_get(1), "c");
    b.world.run_for(5s);
    EXPECT_EQ(arrived, (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(b.db->rows.at(1), "c");
}

TEST(write_behind, a_full_queue_rejects_or_blocks_until_the_deadline_or_room) {
    bench rejecting({.flush_interval = 1h, .max_pending = 2, .full = when_full::reject});
    rejecting.cache.put(1, "a");
    rejecting.cache.put(2, "b");
    rejecting.cache.put(2, "again");  // has a place
    try {
        rejecting.cache.put(3, "c");
        ADD_FAILURE();
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::full);
    }
    EXPECT_EQ(rejecting.cache.stats().rejected, 1U);

    bench blocking({.flush_interval = 10s, .max_pending = 2, .full_timeout = 5s});
    blocking.cache.put(1, "a");
    blocking.cache.put(2, "b");
    auto late = blocking.cache.async_put(3, "c", blocking.token());
    blocking.world.run_for(6s);
    EXPECT_THROW(late.get(), error);
    auto lucky = blocking.cache.async_put(3, "c", blocking.token());
    blocking.world.run_for(4500ms);
    EXPECT_NO_THROW(lucky.get());
    EXPECT_EQ(blocking.cache.stats().blocked, 2U);
}

TEST(write_behind, a_full_queue_writes_through_in_the_order_of_the_key) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    bool is_stored = false;
    b.db->before_store = [&](const std::vector<text_op>&) -> boost::asio::awaitable<void> {
        co_await b.world.scheduler()->sleep_until(b.world.now() + 1s);
        is_stored = true;
    };
    auto through = b.cache.async_put(2, "b", b.token());
    b.world.run_for(500ms);
    EXPECT_EQ(b.cache.try_get(2), "b");
    EXPECT_FALSE(is_stored);
    b.cache.put(2, "behind it");
    b.world.run_for(1s);
    through.get();
    EXPECT_EQ(b.db->rows.at(2), "b");
    EXPECT_EQ(b.cache.try_get(2), "behind it");
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(2), "behind it");
    EXPECT_EQ(b.cache.stats().written_through, 1U);
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind, a_write_through_that_fails_tells_its_caller_and_leaves_nothing) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    b.db->refuse = [](const text_op&) { throw error(errc::invalid_data); };
    auto through = b.cache.async_put(2, "b", b.token());
    b.world.run_for(1s);
    EXPECT_THROW(through.get(), error);
    EXPECT_EQ(b.cache.try_get(2), std::nullopt);
    EXPECT_EQ(b.cache.stats().pending, 1U);
}

TEST(write_behind, bounds_the_bytes_that_are_pending) {
    bench b({.flush_interval = 1h,
             .full = when_full::reject,
             .max_pending_bytes = 1000,
             .size_of = [](int, const std::string& v) { return v.size(); }});
    b.cache.put(1, std::string(700, 'x'));
    EXPECT_THROW(b.cache.put(2, std::string(700, 'x')), error);
    b.cache.put(1, std::string(100, 'x'));  // gives room back
    EXPECT_NO_THROW(b.cache.put(2, std::string(700, 'x')));
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.cache.stats().pending_bytes, 0U);
}

TEST(write_behind, computes_on_the_pending_value) {
    bench b;
    b.db->rows[1] = "x";
    const auto grow = [](std::optional<std::string> v) { return std::optional(v.value_or("") + "+"); };
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(b.get([&](auto token) { return b.cache.async_compute(1, grow, token); }, 1ms),
                  "x" + std::string(static_cast<std::size_t>(i + 1), '+'));
    }
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->rows.at(1), "x+++");
    EXPECT_EQ(b.get([&](auto token) {
        return b.cache.async_compute(1, [](auto) { return std::optional<std::string>(); }, token);
    }),
              std::nullopt);
    EXPECT_TRUE(b.flush());
    EXPECT_TRUE(b.db->rows.empty());
}

TEST(write_behind, an_older_version_does_not_replace_a_newer_one) {
    bench b;
    b.cache.put(1, "v7", 7);
    b.cache.put(1, "v5", 5);
    EXPECT_EQ(b.cache.try_get(1), "v7");
    EXPECT_EQ(b.cache.stats().stale, 1U);
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.db->batches[0][0].version, 7U);
    EXPECT_NE(b.db->batches[0][0].writer, 0U);
    EXPECT_NE(b.db->batches[0][0].sequence, 0U);
}

TEST(write_behind, a_load_that_began_before_the_flush_does_not_bring_the_old_value_back) {
    bench b({.flush_interval = 1s});
    b.db->rows[1] = "old";
    b.cache.put(1, "new");
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.get([&](auto token) { return b.cache.async_get(1, token); }), "new");
    EXPECT_EQ(b.db->loads, 0U);  // L1 has it
    b.cache.erase(1);
    EXPECT_TRUE(b.flush());
    EXPECT_EQ(b.get([&](auto token) { return b.cache.async_get(1, token); }), std::nullopt);
}

TEST(write_behind, keeps_to_the_rate) {
    bench b({.flush_interval = 0s, .batch_size = 10, .max_writes_per_second = 100.0});
    for (int key = 0; key < 1000; ++key) {
        b.cache.put(key, "v");
    }
    b.world.run_for(5s);
    EXPECT_GE(b.db->rows.size(), 490U);
    EXPECT_LE(b.db->rows.size(), 520U);
}

TEST(write_behind, halves_batches_that_take_too_long_and_lets_them_grow_again) {
    bench b({.flush_interval = 0s, .max_pending = 100'000, .batch_size = 256, .batch_time = 100ms});
    bool is_slow = true;
    b.db->before_store = [&](const std::vector<text_op>& batch) -> boost::asio::awaitable<void> {
        const auto each = is_slow ? 2ms : 0ms;
        co_await b.world.scheduler()->sleep_until(b.world.now() + each * static_cast<int>(batch.size()));
    };
    for (int key = 0; key < 4000; ++key) {
        b.cache.put(key, "v");
    }
    b.world.run_for(2s);
    EXPECT_LE(b.cache.stats().batch_limit, 64U);
    is_slow = false;
    b.world.run_for(20s);
    EXPECT_EQ(b.cache.stats().batch_limit, 256U);
    EXPECT_EQ(b.db->rows.size(), 4000U);
}

TEST(write_behind, alarms_once_when_the_oldest_write_is_too_old_and_again_after_it_was_better) {
    std::vector<duration> alarms;
    bench b({.flush_interval = 10ms, .age_alarm = 10s, .on_age_alarm = [&](duration oldest) {
                 alarms.push_back(oldest);
             }});
    bool is_down = true;
    b.db->refuse = [&](const text_op&) {
        if (is_down) {
            throw error(errc::unavailable);
        }
    };
    b.cache.put(1, "a");
    b.world.run_for(60s);
    ASSERT_EQ(alarms.size(), 1U);
    EXPECT_GE(alarms[0], 10s);
    is_down = false;
    b.world.run_for(60s);
    is_down = true;
    b.cache.put(1, "b");
    b.world.run_for(60s);
    EXPECT_EQ(alarms.size(), 2U);
    EXPECT_GE(b.cache.stats().oldest_age, 59s);
}

TEST(write_behind, close_flushes_and_refuses_what_comes_after) {
    bench b({.flush_interval = 1h});
    b.cache.put(1, "a");
    EXPECT_TRUE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_EQ(b.db->rows.at(1), "a");
    EXPECT_THROW(b.cache.put(2, "b"), error);
}

TEST(write_behind, close_hands_what_it_could_not_flush_to_the_dead_letters) {
    std::vector<std::string> lost;
    bench b({.flush_interval = 1h,
             .on_dead_letter = [&](const auto& each) { lost.push_back(*each.operation.value); }});
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    b.cache.put(1, "a");
    b.cache.put(1, "b");
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_EQ(lost, (std::vector<std::string>{"b"}));
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(b.cache.dead_letters()[0].code, errc::closed);
    b.world.run_for(1h);
    EXPECT_TRUE(b.db->rows.empty());
}

TEST(write_behind, refuses_options_out_of_range_by_name) {
    const auto refused = [](text_options options) {
        try {
            bench b(std::move(options));
        } catch (const std::invalid_argument& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    EXPECT_NE(refused({.workers = 0}).find("workers is 0; it must be in [1, 64]"), std::string::npos);
    EXPECT_NE(refused({.max_pending = 0}).find("max_pending"), std::string::npos);
    EXPECT_NE(refused({.flush_interval = -1s}).find("flush_interval"), std::string::npos);
    EXPECT_NE(refused({.max_writes_per_second = -1.0}).find("max_writes_per_second"), std::string::npos);
    EXPECT_NE(refused({.backoff = {.initial = 0s}}).find("initial"), std::string::npos);
}

TEST(write_behind, threads_and_blocking_calls_lose_nothing) {
    runtime rt(1, 2);
    auto db = std::make_shared<scripted_table<std::string>>();
    {
        write_behind<int, std::string> cache(
            db,
            {.local = {.max_entries = 100},
             .executor = rt.get_executor(),
             .blocking_executor = rt.blocking_executor()},
            {.flush_interval = 1ms, .max_pending = 50, .workers = 3, .batch_size = 16});
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) {
                    cache.compute(i % 97, [](std::optional<std::string> v) {
                        return std::optional(v.value_or("") + ".");
                    });
                }
            });
        }
        for (auto& each : threads) {
            each.join();
        }
        EXPECT_TRUE(cache.flush(10s));
        std::size_t total = 0;
        for (const auto& row : db->rows) {
            total += row.second.size();
        }
        EXPECT_EQ(total, 2000U);
        cache.put(1000, "left to the destructor");
    }
    EXPECT_EQ(db->rows.at(1000), "left to the destructor");
}

}  // namespace
}  // namespace levee
