// What a writer waits for, and what it does meanwhile: not for ever, and not the worker's work.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/store/source_from.hpp"
#include "levee/testing/power_loss_files.hpp"
#include "write_behind_support.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace tests;

// Two find the queue full. The source has the write of the one when the other looks again.
TEST(write_behind_waits, no_longer_than_the_deadline_after_a_write_through_that_met_another) {
    bench b({.flush_interval = 1h,
             .max_pending = 1,
             .full = when_full::write_through,
             .full_timeout = 5s,
             .max_pending_bytes = 200});
    b.db->refuse = [](const text_op&) { throw error(errc::unavailable); };
    b.cache.put(1, std::string(50, 'a'));
    std::function<void()> let_go;
    b.db->before_store = [&](const std::vector<text_op>&) -> asio::awaitable<void> {
        if (let_go == nullptr) {
            auto hold = [&](auto handler) {
                auto held = std::make_shared<decltype(handler)>(std::move(handler));
                let_go = [held] {
                    asio::post(asio::get_associated_executor(*held), [held] { std::move (*held)(nullptr); });
                };
            };
            auto waiting = asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
                hold, asio::use_awaitable);
            co_await std::move(waiting);
        }
    };
    std::vector<std::future<void>> puts;
    for (const char each : {'b', 'c'}) {
        puts.push_back(b.cache.async_put(2, std::string(300, each), b.token()));
    }
    b.world.run_for(6s);
    const auto is_ready = [](const auto& put) { return put.wait_for(0s) == std::future_status::ready; };
    const auto refused = std::find_if(puts.begin(), puts.end(), is_ready);
    ASSERT_NE(refused, puts.end());
    try {
        refused->get();
        ADD_FAILURE() << "there is no room for it";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
    puts.erase(refused);
    EXPECT_FALSE(is_ready(puts.front()));
    let_go();
    b.world.run_for(1s);
    EXPECT_TRUE(is_ready(puts.front()));
}

// The segment cannot be deleted when its writes are flushed, but a second later.
TEST(write_behind_waits, no_longer_for_room_in_the_journal_than_until_a_segment_is_deleted) {
    const auto disk = std::make_shared<testing::power_loss_files>();
    text_options options{.flush_interval = 1h, .full_timeout = 10h};
    options.journal.emplace();
    options.journal->segment_bytes = 4096;
    options.journal->max_bytes = 3 * 4096;
    options.journal->files = disk;
    bench b(std::move(options), 100);
    const auto put = [&](int key) { return b.cache.async_put(key, std::string(1000, 'x'), b.token()); };
    const auto is_ready = [](const auto& done) { return done.wait_for(0s) == std::future_status::ready; };
    for (int key = 0;; ++key) {
        auto done = put(key);
        b.world.run_for(10ms);
        if (!is_ready(done)) {
            disk->set_read_only(true);
            EXPECT_TRUE(b.flush());
            EXPECT_FALSE(is_ready(done));
            disk->set_read_only(false);
            b.world.run_for(10s);
            EXPECT_TRUE(is_ready(done));
            break;
        }
        ASSERT_LT(key, 100);
    }
}

// What an executor needs to come to an end: see asio's io_context::run.
TEST(write_behind_waits, for_no_timer_when_nothing_is_pending) {
    const auto disk = std::make_shared<testing::power_loss_files>();
    text_options options{.flush_interval = 10h,
                         .max_pending = 1,
                         .full_timeout = 20h,
                         .durable_timeout = 30h,
                         .age_alarm = 40h,
                         .on_age_alarm = [](duration) {}};
    options.journal.emplace();
    options.journal->files = disk;
    bench b(std::move(options));
    b.get([&](auto token) { return b.cache.async_put(1, "a", token); }, 1ms);
    auto waits = b.cache.async_put(2, "b", b.token());
    b.world.run_for(1ms);
    EXPECT_GT(b.world.sleeping(), 0U);
    EXPECT_TRUE(b.get([&](auto token) { return b.cache.async_flush(50h, token); }));
    EXPECT_EQ(waits.wait_for(0s), std::future_status::ready);
    EXPECT_TRUE(b.get([&](auto token) { return b.cache.async_flush(50h, token); }));
    EXPECT_EQ(b.db->rows.size(), 2U);
    EXPECT_EQ(b.world.sleeping(), 0U);
}

/// Counts its calls. A map of keys with such a hash calls it for each of them when it grows.
struct counting_hash {
    static inline std::size_t calls = 0;
    std::size_t operator()(int key) const noexcept {
        ++calls;
        return static_cast<std::size_t>(key);
    }
};

TEST(write_behind_waits, until_all_that_is_pending_has_been_moved_for_no_write) {
    testing::simulation world(1);
    write_behind<int, std::string, counting_hash> cache(
        std::make_shared<scripted_table<std::string>>(),
        {.local = {.max_entries = 10}, .executor = world.executor(), .scheduler = world.scheduler()},
        {.max_pending = 3'000, .close_timeout = 0s});
    std::size_t most = 0;
    for (int key = 0; key < 3'000; ++key) {
        counting_hash::calls = 0;
        cache.put(key, "a");
        most = std::max(most, counting_hash::calls);
    }
    EXPECT_LT(most, 10U);
}

thread_local bool is_putting = false;

TEST(write_behind_waits, for_no_store_on_a_thread_of_the_executor_where_those_run) {
    runtime rt(1, 1);
    std::atomic<int> stores = 0;
    std::atomic<int> stores_within = 0;
    const auto load = [](const int&) { return std::optional<std::string>(); };
    const auto store = [&](const write_op<int, std::string>&) {
        ++stores;
        stores_within += is_putting ? 1 : 0;
    };
    write_behind<int, std::string> cache(source_from<int, std::string>(load, store),
                                         {.local = {.max_entries = 10},
                                          .executor = rt.get_executor(),
                                          .blocking_executor = rt.blocking_executor()},
                                         {.flush_interval = 0s});
    std::promise<void> is_put;
    asio::post(rt.blocking_executor(), [&] {
        is_putting = true;
        cache.put(1, "a");
        is_putting = false;
        is_put.set_value();
    });
    is_put.get_future().wait();
    EXPECT_TRUE(cache.flush(20s));
    EXPECT_EQ(stores.load(), 1);
    EXPECT_EQ(stores_within.load(), 0);
}

}  // namespace
}  // namespace levee
