// What connection pools are known to get wrong, in virtual time, with a factory that delays, hangs and fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <string>
#include <vector>

#include "unit/pool/stub_factory.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::answer;
using test::dummy;

using a_pool = test::pool_test;

// P1
TEST_F(a_pool, serves_100_workers_on_10_connections_in_order) {
    constexpr auto hold = 10ms;
    open({.max_size = 10, .acquire_timeout = 10s});
    factory->connect_takes = 1ms;
    std::vector<duration> waits;
    for (int i = 0; i < 100; ++i) {
        // One after the other, or the simulation would shuffle them.
        asio::co_spawn(world.executor(), use(hold, waits), asio::detached);
        world.run_for(0s);
    }
    world.run_for(10s);
    ASSERT_EQ(waits.size(), 100U);
    EXPECT_TRUE(std::is_sorted(waits.begin(), waits.end()));
    for (std::size_t position = 10; position < waits.size(); ++position) {
        EXPECT_LE(waits[position], hold * static_cast<int>(position / 10 + 1));
    }
}

// P2
TEST_F(a_pool, keeps_the_deadline_when_connecting_is_slow) {
    open({});
    factory->connect_takes = 2s;
    auto asked = ask(250ms);
    world.run_for(249ms);
    EXPECT_FALSE(asked->is_there);
    world.run_for(1ms);
    EXPECT_EQ(asked->reason(), pool_failure::connecting);
    EXPECT_EQ(asked->after, 250ms);
}

TEST_F(a_pool, keeps_the_deadline_when_validation_hangs) {
    open({.max_size = 1, .validation_timeout = 10s});
    auto first = ask();
    world.run_for(0s);
    first->connection.give_back();
    world.run_for(1s);
    factory->validation_takes = 38s;
    auto asked = ask(250ms);
    world.run_for(1s);
    EXPECT_EQ(asked->reason(), pool_failure::connecting);
    EXPECT_EQ(asked->after, 250ms);
}

TEST_F(a_pool, replaces_a_connection_whose_validation_takes_too_long) {
    open({.max_size = 1, .validation_timeout = 100ms});
    auto first = ask();
    world.run_for(0s);
    first->connection.give_back();
    world.run_for(1s);
    factory->validation_takes = 1h;
    auto asked = ask();
    world.run_for(100ms);
    ASSERT_TRUE(asked->connection);
    EXPECT_EQ(asked->connection->number, 2);
    world.run_for(0s);
    EXPECT_EQ(factory->living, std::set<int>{2}) << "the hung one was cancelled and closed";
    EXPECT_EQ(pool->stats().invalid, 1U);
}

// P3
TEST_F(a_pool, gives_a_cancelled_waiters_new_connection_to_the_next) {
    open({});
    factory->connect_takes = 100ms;
    auto cancelled = ask();
    world.run_for(50ms);
    auto next = ask();
    cancelled->cancel.emit(asio::cancellation_type::terminal);
    world.run_for(50ms);
    EXPECT_EQ(cancelled->reason(), pool_failure::cancelled);
    ASSERT_TRUE(next->connection);
    EXPECT_EQ(next->connection->number, 1);
}

TEST_F(a_pool, keeps_a_connection_that_nobody_waits_for_any_more) {
    open({});
    factory->connect_takes = 100ms;
    auto late = ask(50ms);
    world.run_for(100ms);
    EXPECT_EQ(late->reason(), pool_failure::connecting);
    EXPECT_EQ(pool->stats().idle, 1U);
    EXPECT_TRUE(pool->try_acquire());
}

TEST_F(a_pool, neither_loses_nor_doubles_a_connection_whose_hand_over_meets_the_deadline) {
    // Both at the same virtual moment, in every order that the seeds bring.
    int served = 0;
    int timed_out = 0;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        test::pool_world each(seed);
        each.open({.max_size = 1});
        auto holder = each.ask();
        each.world.run_for(0s);
        auto waiter = each.ask(10ms);
        const auto release = [&]() -> asio::awaitable<void> {
            co_await each.world.scheduler()->sleep_until(each.world.now() + 10ms);
            holder->connection.give_back();
        };
        asio::co_spawn(each.world.executor(), release(), asio::detached);
        each.world.run_for(20ms);
        ASSERT_TRUE(waiter->is_there);
        ASSERT_NE(static_cast<bool>(waiter->connection), waiter->failure != nullptr);
        ++(waiter->connection ? served : timed_out);
        EXPECT_EQ(each.pool->stats().in_use, waiter->connection ? 1U : 0U);
        waiter->connection.give_back();
        EXPECT_TRUE(each.pool->try_acquire());
        EXPECT_EQ(each.factory->last, 1);
    }
    EXPECT_GT(served, 0);
    EXPECT_GT(timed_out, 0);
}

TEST_F(a_pool, takes_back_what_a_dropped_completion_held) {
    open({.max_size = 1});
    auto first = ask();
    world.run_for(0s);
    {
        asio::io_context gone;  // never run: it destroys what was posted to it
        pool->async_acquire(asio::bind_executor(gone, [](std::exception_ptr, pooled<dummy>) { FAIL(); }));
        first->connection.give_back();
        EXPECT_EQ(pool->stats().in_use, 1U);
    }
    EXPECT_EQ(pool->stats().in_use, 0U);
    EXPECT_TRUE(pool->try_acquire());
}

// P4: HikariCP's spike
TEST_F(a_pool, does_not_answer_a_spike_with_a_crowd_of_connections) {
    open({.max_size = 50, .min_idle = 5});
    world.run_for(1s);
    ASSERT_EQ(pool->stats().idle, 5U);
    factory->connect_takes = 150ms;
    std::vector<duration> waits;
    for (int i = 0; i < 50; ++i) {
        asio::co_spawn(world.executor(), use(2ms, waits), asio::detached);
    }
    world.run_for(5s);
    ASSERT_EQ(waits.size(), 50U);
    EXPECT_LE(*std::max_element(waits.begin(), waits.end()), 25ms);
    EXPECT_LE(factory->living.size(), 8U);
}

// P5
TEST_F(a_pool, says_that_the_database_is_down_and_why) {
    open({.name = "orders"});
    factory->is_down = true;
    auto asked = ask(1s);
    world.run_for(1s);
    ASSERT_EQ(asked->reason(), pool_failure::database_down);
    EXPECT_EQ(asked->after, 1s);
    EXPECT_NE(asked->what().find("no route to host"), std::string::npos) << asked->what();
    EXPECT_NE(asked->what().find("\"orders\""), std::string::npos) << asked->what();
    try {
        std::rethrow_exception(asked->failure);
    } catch (const pool_error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
        EXPECT_THROW(std::rethrow_exception(e.last_connect_error()), std::runtime_error);
    }
}

TEST_F(a_pool, tries_seldom_while_the_database_is_down_and_recovers_within_the_back_off) {
    open({.backoff = {.initial = 10ms, .max = 500ms, .jitter = backoff_jitter::equal}});
    factory->is_down = true;
    std::vector<std::shared_ptr<answer>> all;
    const auto callers = [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 1'000; ++i) {
            all.push_back(ask(2s));
            co_await world.scheduler()->sleep_until(world.now() + 10ms);
        }
    };
    asio::co_spawn(world.executor(), callers(), asio::detached);
    world.run_for(5s);
    std::map<long, int> in_second;
    for (const time_point each : factory->begun) {
        ++in_second[(each - time_point{}) / 1s];
    }
    in_second.erase(in_second.begin());  // the back-off grows in the first one
    for (const auto& [second, tries] : in_second) {
        EXPECT_LE(tries, 4) << second;
        EXPECT_GE(tries, 1) << second;
    }
    factory->is_down = false;
    const time_point mended = world.now();
    const std::size_t before = all.size();
    world.run_for(5s);
    const auto served = std::find_if(
        all.begin(), all.end(), [](const auto& each) { return each->is_there && each->failure == nullptr; });
    ASSERT_NE(served, all.end());
    EXPECT_LT(static_cast<std::size_t>(served - all.begin()), before) << "served one who waited already";
    EXPECT_LE(factory->begun.back() - mended, 5s);
    const auto first_good = std::find_if(factory->begun.begin(), factory->begun.end(),
                                         [&](time_point each) { return each >= mended; });
    EXPECT_LE(*first_good - mended, 500ms);
}

TEST_F(a_pool, tries_one_connection_at_a_time_once_the_gate_is_closed) {
    open({.max_size = 10, .max_connecting = 4, .error_gate = 3});
    factory->is_down = true;
    factory->connect_takes = 10ms;
    std::vector<std::shared_ptr<answer>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(ask(5s));
    }
    world.run_for(5ms);
    EXPECT_EQ(pool->stats().connecting, 4U);
    for (int i = 0; i < 100; ++i) {
        world.run_for(20ms);
        ASSERT_LE(pool->stats().connecting, 1U);
    }
}

TEST_F(a_pool, stops_trying_when_nobody_waits) {
    open({});
    factory->is_down = true;
    auto asked = ask(100ms);
    world.run_for(1s);
    const int tries = factory->last;
    world.run_for(1min);
    EXPECT_EQ(factory->last, tries);
}

TEST_F(a_pool, ends_the_lives_of_connections_made_together_apart) {
    std::map<long, int> ended;
    const time_point begun = world.now();
    open({.max_size = 20,
          .idle_timeout = 0s,
          .max_lifetime = 30min,
          .validate_after_idle = (duration::max)(),
          .max_connecting = 20,
          .observer = [&](const pool_event& event) {
              if (event.kind == pool_event_kind::removed && event.cause == pool_removal::expired) {
                  ++ended[(world.now() - begun) / 1s];
              }
          }});
    {
        std::vector<std::shared_ptr<answer>> all;
        for (int i = 0; i < 20; ++i) {
            all.push_back(ask());
        }
        world.run_for(1s);
    }
    world.run_for(26min);
    EXPECT_TRUE(ended.empty());
    world.run_for(8min);
    int total = 0;
    for (const auto& [second, count] : ended) {
        EXPECT_LE(count, 2) << "in second " << second;
        total += count;
    }
    EXPECT_EQ(total, 20);
}

TEST_F(a_pool, enforces_the_lifetime_although_it_is_never_idle) {
    open({.max_size = 1, .max_lifetime = 1min});
    std::vector<std::shared_ptr<answer>> queue{ask(), ask()};
    for (int i = 0; i < 3'000; ++i) {  // there is always one who waits
        world.run_for(100ms);
        ASSERT_TRUE(queue.front()->connection) << i;
        queue.push_back(ask());
        queue.erase(queue.begin());
    }
    EXPECT_GE(factory->last, 4) << "300 s of use at lives of 54 to 66 s";
    EXPECT_LE(factory->last, 6);
    EXPECT_EQ(factory->living.size(), 1U);
}

// P8
TEST_F(a_pool, lets_leases_outlive_it) {
    open({});
    auto held = ask();
    auto discarded = ask();
    auto idle = ask();
    world.run_for(0s);
    idle->connection.give_back();
    pool.reset();
    EXPECT_EQ(factory->living.size(), 2U);
    EXPECT_FALSE(held->connection->is_broken);
    discarded->connection.discard();
    EXPECT_EQ(factory->living.size(), 1U);
    held->connection.give_back();
    EXPECT_TRUE(factory->living.empty());
    world.run();
}

TEST_F(a_pool, refuses_those_who_wait_when_it_is_destroyed) {
    open({.max_size = 1});
    auto held = ask();
    world.run_for(0s);
    auto waiting = ask();
    pool.reset();
    world.run();
    EXPECT_EQ(waiting->reason(), pool_failure::closed);
    held->connection.give_back();
    EXPECT_TRUE(factory->living.empty());
}

TEST_F(a_pool, can_be_destroyed_while_it_connects_validates_and_resets) {
    open({});
    auto checked = ask();
    auto reset = ask();
    world.run_for(0s);
    checked->connection.give_back();
    world.run_for(1s);
    factory->connect_takes = factory->validation_takes = factory->reset_takes = 100ms;
    reset->connection->is_dirty = true;
    reset->connection.give_back();
    std::vector<std::shared_ptr<answer>> waiting{ask(), ask(), ask()};
    world.run_for(50ms);
    EXPECT_EQ(pool->stats().checking, 2U);
    EXPECT_EQ(pool->stats().connecting, 1U);
    pool.reset();
    world.run();
    EXPECT_TRUE(factory->living.empty());
    for (const auto& each : waiting) {
        EXPECT_EQ(each->reason(), pool_failure::closed);
    }
}

TEST_F(a_pool, ends_a_nested_acquire_by_the_deadline) {
    open({.max_size = 1, .acquire_timeout = 1s});
    std::optional<pool_failure> inner_failure;
    const auto nested = [&]() -> asio::awaitable<void> {
        const auto outer = co_await pool->async_acquire(asio::use_awaitable, "outer");
        try {
            const auto inner = co_await pool->async_acquire(asio::use_awaitable, "inner");
        } catch (const pool_error& e) {
            inner_failure = e.reason();
            EXPECT_EQ(e.holders().at(0).label, "outer");
        }
    };
    asio::co_spawn(world.executor(), nested(), asio::detached);
    world.run_for(1s);
    EXPECT_EQ(inner_failure, pool_failure::exhausted);
    EXPECT_TRUE(pool->try_acquire());
}

TEST_F(a_pool, refuses_more_waiters_than_allowed) {
    open({.max_size = 1, .max_waiters = 2});
    auto held = ask();
    world.run_for(0s);
    std::vector<std::shared_ptr<answer>> all{ask(), ask(), ask()};
    world.run_for(0s);
    EXPECT_FALSE(all[0]->is_there);
    EXPECT_FALSE(all[1]->is_there);
    EXPECT_EQ(all[2]->reason(), pool_failure::queue_full);
    EXPECT_EQ(pool->stats().refused, 1U);
}

}  // namespace
}  // namespace levee
