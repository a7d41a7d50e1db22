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
