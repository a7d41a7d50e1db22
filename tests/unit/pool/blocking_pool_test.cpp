// Blocking callers on real threads, alone and beside asynchronous ones, and factories of plain functions.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/pool/connection_pool.hpp"
#include "support/standing_time.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct a_blocking_pool : ::testing::Test {
    runtime threads{1, 1};
    std::atomic<int> made = 0, checked = 0, cleaned = 0;
    std::promise<void> go_on;
    std::shared_future<void> may_go_on = go_on.get_future().share();
    bool is_hanging = false;
    std::unique_ptr<connection_pool<int>> pool;

    void open(pool_options options) {
        options.executor = threads.get_executor();
        options.blocking_executor = threads.blocking_executor();
        pool = std::make_unique<connection_pool<int>>(factory_from([this] {
                                                          if (is_hanging) {
                                                              may_go_on.wait();
                                                          }
                                                          return ++made;
                                                      }),
                                                      options);
    }
    void wait_for_waiters(std::size_t count) const {
        while (pool->stats().waiting < count) {
            std::this_thread::yield();
        }
    }
};

pool_failure reason_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const pool_error& e) {
        return e.reason();
    }
    throw std::runtime_error("did not fail");
}

TEST_F(a_blocking_pool, makes_what_is_wanted_and_lends_it_again) {
    open({});
    {
        const auto first = pool->acquire();
        const auto second = pool->acquire(5s);
        const auto third = pool->acquire(clock::precise().now() + 5s);
        EXPECT_EQ(*first + *second + *third, 6);
    }
    EXPECT_TRUE(pool->acquire("again"));
    EXPECT_EQ(made, 3);
}

// P2
TEST_F(a_blocking_pool, keeps_its_deadline_while_the_factory_hangs) {
    open({});
    is_hanging = true;
    EXPECT_EQ(reason_of([&] { static_cast<void>(pool->acquire(2ms)); }), pool_failure::connecting);
    go_on.set_value();
    EXPECT_TRUE(pool->acquire()) << "what came late serves the next";
}

TEST_F(a_blocking_pool, does_not_wait_at_all_when_told_so) {
    open({.max_size = 1});
    const auto held = pool->acquire();
    EXPECT_EQ(reason_of([&] { static_cast<void>(pool->acquire(0s)); }), pool_failure::exhausted);
}

// The scheduler's time was long ago, and stands still.
TEST_F(a_blocking_pool, waits_in_real_time_whatever_the_schedulers_time_does) {
    const auto standing = std::make_shared<tests::standing_time>(threads.get_executor());
    open({.max_size = 1, .scheduler = standing});
    auto held = pool->acquire();
    EXPECT_EQ(reason_of([&] { static_cast<void>(pool->acquire(2ms)); }), pool_failure::exhausted);
    EXPECT_EQ(reason_of([&] { static_cast<void>(pool->acquire(standing->now() + 2ms)); }),
              pool_failure::exhausted);
    auto patient = std::async(std::launch::async, [&] { return static_cast<bool>(pool->acquire(1h)); });
    while (pool->stats().waiting == 0 && patient.wait_for(0s) != std::future_status::ready) {
        std::this_thread::yield();
    }
    held = {};
    EXPECT_TRUE(patient.get());
    EXPECT_TRUE(pool->drain(1h));
}

// G7, P1
TEST_F(a_blocking_pool, serves_threads_and_coroutines_in_the_order_in_which_they_came) {
    open({.max_size = 1});
    auto held = pool->acquire();
    std::mutex mutex;  // guards order
    std::vector<int> order;
    const auto note = [&](int number) {
        const std::lock_guard lock(mutex);
        order.push_back(number);
    };
    std::vector<std::jthread> callers;
    std::vector<std::future<void>> coroutines;
    const auto coroutine = [&](int number) -> asio::awaitable<void> {
        const auto connection = co_await pool->async_acquire(asio::use_awaitable);
        note(number);
    };
    for (int i = 0; i < 20; ++i) {
        if (i % 3 == 0) {
            coroutines.push_back(asio::co_spawn(threads.get_executor(), coroutine(i), asio::use_future));
        } else {
            callers.emplace_back([&, i] {
                const auto connection = pool->acquire();
                note(i);
            });
        }
        wait_for_waiters(static_cast<std::size_t>(i) + 1);
    }
    held.give_back();
    callers.clear();
    for (auto& each : coroutines) {
        each.get();
    }
    std::vector<int> wanted(20);
    std::iota(wanted.begin(), wanted.end(), 0);
    EXPECT_EQ(order, wanted);
}

// P8
TEST_F(a_blocking_pool, takes_a_lease_back_from_another_thread_after_its_own_end) {
    open({});
    auto held = pool->acquire();
    pool.reset();
    std::jthread([lease = std::move(held)]() mutable {
        EXPECT_EQ(*lease, 1);
        lease.give_back();
    });
}

TEST(a_lease, outlives_the_pool_and_the_threads_that_made_its_connection) {
    pooled<int> clean;
    pooled<int> discarded;
    {
        runtime threads(1, 1);
        connection_pool<int> pool(
            factory_from([] { return 7; }, [](int&) { return true; }, [](int&) {}),
            {.executor = threads.get_executor(), .blocking_executor = threads.blocking_executor()});
        clean = pool.acquire();
        discarded = pool.acquire();
    }
    EXPECT_EQ(*clean + *discarded, 14);
    clean.give_back();  // it would need a reset, on threads that have gone
    discarded.discard();
    EXPECT_FALSE(clean);
}

TEST_F(a_blocking_pool, lets_blocked_callers_go_when_it_is_closed) {
    open({.max_size = 1});
    auto held = pool->acquire();
    std::promise<pool_failure> reason;
    std::jthread caller([&] { reason.set_value(reason_of([&] { static_cast<void>(pool->acquire()); })); });
    wait_for_waiters(1);
    EXPECT_FALSE(pool->close());
    EXPECT_EQ(reason.get_future().get(), pool_failure::closed);
    EXPECT_EQ(reason_of([&] { static_cast<void>(pool->acquire()); }), pool_failure::closed);
    EXPECT_FALSE(pool->try_acquire());
}

TEST_F(a_blocking_pool, drains_until_the_last_lease_is_back) {
    open({});
    auto held = pool->acquire();
    EXPECT_FALSE(pool->drain(0s));
    std::jthread holder([lease = std::move(held)]() mutable { lease.give_back(); });
    EXPECT_TRUE(pool->drain(1min));
}

TEST_F(a_blocking_pool, refuses_to_block_the_thread_that_it_needs) {
    open({.max_size = 1});
    const auto on_executor = [&](auto f) {
        const auto run = [f]() -> asio::awaitable<std::error_code> {
            try {
                f();
            } catch (const error& e) {
                co_return e.code();
            }
            co_return std::error_code();
        };
        return asio::co_spawn(threads.get_executor(), run(), asio::use_future).get();
    };
    const auto acquire = [&] { static_cast<void>(pool->acquire()); };
    EXPECT_EQ(on_executor(acquire), errc::would_deadlock);
    static_cast<void>(pool->acquire());
    EXPECT_EQ(on_executor(acquire), std::error_code()) << "nothing to wait for: one is idle";
    const auto held = pool->acquire();
    EXPECT_EQ(on_executor([&] { pool->drain(1s); }), errc::would_deadlock);
}

TEST_F(a_blocking_pool, needs_an_executor_for_plain_functions) {
    EXPECT_THROW(connection_pool<int>(factory_from([] { return 1; }), {.executor = threads.get_executor()}),
                 std::invalid_argument);
    EXPECT_THROW(connection_pool<int>(nullptr, {.executor = threads.get_executor()}), std::invalid_argument);
}

TEST_F(a_blocking_pool, moves_its_leases) {
    open({.max_size = 2});
    auto one = pool->acquire();
    auto other = pool->acquire();
    const int first = *one;
    other = std::move(one);
    EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move): empty, as said
    EXPECT_EQ(*other, first);
    EXPECT_EQ(pool->stats().in_use, 1U);
    one.give_back();
    one.discard();
    EXPECT_EQ(pool->stats().in_use, 1U);
}

TEST(a_factory_from_functions, uses_all_of_them) {
    runtime threads(1, 1);
    std::atomic<int> checks = 0, resets = 0;
    connection_pool<std::string> pool(factory_from([] { return std::make_unique<std::string>("made"); },
                                                   [&](std::string&) {
                                                       ++checks;
                                                       return false;
                                                   },
                                                   [&](std::string& text) {
                                                       ++resets;
                                                       text = "clean";
                                                   }),
                                      {.max_size = 1,
                                       .validate_after_idle = 0s,
                                       .executor = threads.get_executor(),
                                       .blocking_executor = threads.blocking_executor()});
    auto first = pool.acquire();
    EXPECT_EQ(*first, "made");
    *first = "dirty";
    first.give_back();
    while (pool.stats().idle == 0) {
        std::this_thread::yield();
    }
    EXPECT_EQ(resets, 1);
    EXPECT_EQ(*pool.acquire(), "made") << "the idle one is not valid";
    EXPECT_EQ(checks, 1);
}

TEST(a_factory_from_coroutines, uses_all_of_them) {
    runtime threads(1, 1);
    std::atomic<int> checks = 0, resets = 0;
    const auto connect = []() -> asio::awaitable<std::string> { co_return "made"; };
    const auto is_valid = [&](std::string&) -> asio::awaitable<bool> {
        ++checks;
        co_return true;
    };
    const auto reset = [&](std::string& text) -> asio::awaitable<void> {
        ++resets;
        text = "clean";
        co_return;
    };
    connection_pool<std::string> pool(
        factory_from(connect, is_valid, reset),
        {.max_size = 1, .validate_after_idle = 0s, .executor = threads.get_executor()});
    EXPECT_EQ(*pool.acquire(), "made");
    EXPECT_EQ(*pool.acquire(), "clean");
    EXPECT_GE(resets, 1);
}

}  // namespace
}  // namespace levee
