// The end of a write-behind cache: what close keeps, tells and waits for.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace tests;

TEST(write_behind_end, close_does_not_forget_what_waits_behind_a_write_through) {
    bench b({.flush_interval = 1h, .max_pending = 1, .full = when_full::write_through});
    b.cache.put(1, "a");
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    auto through = b.cache.async_put(2, "b", b.token());
    b.world.run_for(1ms);
    b.cache.put(2, "behind it");
    b.db->before_store = nullptr;
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    auto lost = values_of(b.cache.dead_letters());
    std::sort(lost.begin(), lost.end());
    EXPECT_EQ(lost, (std::vector<std::string>{"a", "behind it"}));
    held.lift();
    b.world.run_for(1s);
}

TEST(write_behind_end, a_second_close_ends_at_once) {
    bench b({.flush_interval = 1h});
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    b.cache.put(1, "a");
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_TRUE(b.get([&](auto token) { return b.cache.async_close(10h, token); }, 1ms));
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_flush(10h, token); }, 1ms));
    EXPECT_TRUE(b.cache.close(10h));
}

TEST(write_behind_end, one_write_makes_one_letter_even_if_it_fails_after_the_close) {
    int told = 0;
    bench b({.flush_interval = 0s, .on_dead_letter = [&](const auto&) { ++told; }});
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    b.db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    b.cache.put(1, "a");
    b.world.run_for(1ms);
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    held.lift();
    b.world.run_for(1min);
    EXPECT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(told, 1);
}

TEST(write_behind_end, no_function_of_the_options_is_called_after_the_destructor) {
    int calls = 0;
    bench b({.flush_interval = 0s,
             .on_dead_letter = [&](const auto&) { ++calls; },
             .age_alarm = 1s,
             .on_age_alarm = [&](duration) { ++calls; },
             .classify =
                 [&](const std::exception_ptr&) {
                     ++calls;
                     return write_failure::permanent;
                 }});
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    b.db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    b.cache.put(1, "a");
    b.world.run_for(1ms);
    b.owned.reset();
    EXPECT_EQ(calls, 1);  // the letter
    calls = 0;
    held.lift();
    b.world.run_for(1min);
    EXPECT_EQ(calls, 0);
}

// The second of two is prepared when the source has taken the first, which went past a full queue.
TEST(write_behind_end, size_of_is_not_called_after_the_destructor) {
    int calls = 0;
    bench b({.flush_interval = 1h,
             .max_pending = 1,
             .full = when_full::write_through,
             .size_of = [&](int, const std::string&) {
                 ++calls;
                 return std::size_t{1};
             }});
    b.cache.put(1, "fills the queue");
    stone held;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        co_await held.async_wait();
    };
    auto many = b.cache.async_put_many({{2, "a"}, {3, "b"}}, b.token());
    b.world.run_for(1ms);
    auto late = b.cache.async_put_many({{4, "c"}}, b.token());
    b.owned.reset();
    calls = 0;
    held.lift();
    b.world.run_for(1s);
    EXPECT_EQ(calls, 0);
    EXPECT_THROW(many.get(), error);
    EXPECT_THROW(late.get(), error);
}

/// Holds the thread that looks a key up under its lock, which the cache has found open.
struct holding_hash {
    static inline thread_local int calls_before = -1;
    static inline std::atomic<bool> is_held{false}, is_let_go{false};
    std::size_t operator()(int key) const {
        if (calls_before >= 0 && calls_before-- == 0) {
            is_held = true;
            is_held.notify_all();
            is_let_go.wait(false);
        }
        return static_cast<std::size_t>(key);
    }
};

// Two keys of one shard: while the source has the one, the other is accepted past a close that has begun.
TEST(write_behind_end, what_is_accepted_while_close_begins_is_flushed_by_it) {
    runtime on(3, 1);
    const auto db = std::make_shared<scripted_table<std::string>>();
    std::atomic<bool> is_storing{false};
    std::atomic<bool> may_store{false};
    std::atomic<bool> has_first{false};
    std::atomic<bool> may_end_first{false};
    db->before_store = [&](const std::vector<text_op>& batch) -> asio::awaitable<void> {
        if (batch.front().key == 1) {
            is_storing = true;
            is_storing.notify_all();
            may_store.wait(false);
        } else if (batch.front().key == 16) {
            has_first = true;
            has_first.notify_all();
            may_end_first.wait(false);
        }
        co_return;
    };
    write_behind<int, std::string, holding_hash> cache(db,
                                                       {.local = {.max_entries = 10},
                                                        .executor = on.get_executor(),
                                                        .blocking_executor = on.blocking_executor()},
                                                       {.flush_interval = 0s, .workers = 64});
    cache.put(16, "first");  // no map asks for a hash while it is empty
    has_first.wait(false);
    std::thread writer([&] {
        holding_hash::calls_before = 1;  // the first one finds the lock
        cache.put(1, "acknowledged");
    });
    holding_hash::is_held.wait(false);
    std::atomic<bool> is_closed{false};
    std::thread closer([&] {
        EXPECT_TRUE(cache.close(1h));
        is_closed = true;
    });
    const auto is_open = [&] {
        try {
            cache.put(1'000'003, "another shard's");
            return true;
        } catch (const error&) {
            return false;
        }
    };
    while (is_open()) {
        std::this_thread::yield();
    }
    const auto let_others_work = [] {  // long enough for a close that does not wait
        for (int i = 0; i < 10'000; ++i) {
            std::this_thread::yield();
        }
    };
    let_others_work();
    holding_hash::is_let_go = true;
    holding_hash::is_let_go.notify_all();
    writer.join();
    may_end_first = true;
    may_end_first.notify_all();
    is_storing.wait(false);
    let_others_work();
    EXPECT_FALSE(is_closed);
    may_store = true;
    may_store.notify_all();
    closer.join();
    EXPECT_TRUE(cache.dead_letters().empty());
    EXPECT_EQ(db->rows[1], "acknowledged");
}

TEST(write_behind_end, close_waits_for_a_function_that_is_running) {
    runtime on(1, 1);
    std::latch is_called(1);
    std::atomic<bool> is_first{true};
    std::atomic<bool> is_closing{false};
    std::atomic<bool> has_returned{false};
    auto db = std::make_shared<scripted_table<std::string>>();
    db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    write_behind<int, std::string> cache(db,
                                         {.local = {.max_entries = 10},
                                          .executor = on.get_executor(),
                                          .blocking_executor = on.blocking_executor()},
                                         {.flush_interval = 0s, .on_dead_letter = [&](const auto&) {
                                              if (is_first.exchange(false)) {
                                                  is_called.count_down();
                                              } else {
                                                  return;
                                              }
                                              is_closing.wait(false);
                                              // Long enough for a close that does not wait to be over.
                                              for (int i = 0; i < 100'000; ++i) {
                                                  std::this_thread::yield();
                                              }
                                              has_returned = true;
                                          }});
    cache.put(1, "a");
    is_called.wait();
    is_closing = true;
    is_closing.notify_all();
    cache.close(0s);
    EXPECT_TRUE(has_returned);
}

TEST(write_behind_end, a_letter_is_in_the_store_when_it_is_told) {
    std::vector<std::uint64_t> told;
    write_behind<int, std::string>* cache = nullptr;
    const auto look = [&](const dead_letter<int, std::string>& each) {
        const auto kept = cache->dead_letters();
        ASSERT_FALSE(kept.empty());
        EXPECT_EQ(kept.back().id, each.id);
        told.push_back(each.id);
    };
    bench b({.flush_interval = 0s, .on_dead_letter = look});
    cache = &b.cache;
    b.db->refuse_row = [](const text_op& op) {
        return failure(op.key == 1 ? errc::invalid_data : errc::unavailable);
    };
    b.cache.put(1, "given up");
    b.world.run_for(1s);
    b.cache.put(2, "left at the end");
    EXPECT_FALSE(b.get([&](auto token) { return b.cache.async_close(1s, token); }));
    EXPECT_EQ(told.size(), 2U);
}

}  // namespace
}  // namespace levee
