// The pool in virtual time, with asynchronous callers: lending, validating, resetting, closing.
#include "levee/pool/connection_pool.hpp"

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

TEST_F(a_pool, connects_on_demand_and_reuses) {
    open({});
    world.run_for(1s);
    EXPECT_EQ(factory->last, 0);
    auto first = ask();
    world.run_for(0s);
    ASSERT_TRUE(first->connection);
    EXPECT_EQ(first->connection->number, 1);
    first->connection.give_back();
    auto second = ask();
    world.run_for(0s);
    EXPECT_EQ(second->connection->number, 1);
    EXPECT_EQ(factory->last, 1);
}

TEST_F(a_pool, hands_out_the_last_returned_first) {
    open({});
    std::vector<std::shared_ptr<answer>> held{ask(), ask(), ask()};
    world.run_for(0s);
    const int second = held[1]->connection->number;
    const int third = held[2]->connection->number;
    held[0]->connection.give_back();
    held[2]->connection.give_back();
    held[1]->connection.give_back();
    EXPECT_EQ(pool->try_acquire()->number, second);
    const auto one = pool->try_acquire();
    EXPECT_EQ(one->number, second);
    EXPECT_EQ(pool->try_acquire()->number, third);
}

TEST_F(a_pool, try_acquire_is_empty_when_nothing_is_idle) {
    open({.max_size = 1});
    EXPECT_FALSE(pool->try_acquire());
    auto only = ask();
    world.run_for(0s);
    EXPECT_FALSE(pool->try_acquire());
    only->connection.give_back();
    EXPECT_TRUE(pool->try_acquire());
}

TEST_F(a_pool, validates_only_what_was_idle_for_long) {
    open({.max_size = 1, .validate_after_idle = 500ms});
    auto first = ask();
    world.run_for(0s);
    first->connection.give_back();
    world.run_for(499ms);
    auto fresh = pool->try_acquire();
    EXPECT_TRUE(fresh);
    EXPECT_EQ(factory->validations, 0);
    fresh.give_back();
    world.run_for(500ms);
    auto stale = ask();
    world.run_for(0s);
    EXPECT_EQ(stale->connection->number, 1);
    EXPECT_EQ(factory->validations, 1);
}

TEST_F(a_pool, validates_each_time_if_asked_to) {
    open({.max_size = 1, .validate_after_idle = 0s});
    for (int i = 0; i < 3; ++i) {
        auto asked = ask();
        world.run_for(0s);
        EXPECT_TRUE(asked->connection);
    }
    EXPECT_EQ(factory->validations, 2);
}

TEST_F(a_pool, replaces_a_broken_connection_within_the_same_acquire) {
    open({.max_size = 1});
    auto first = ask();
    world.run_for(0s);
    first->connection->is_broken = true;
    first->connection.give_back();
    world.run_for(1s);
    auto asked = ask();
    world.run_for(0s);
    ASSERT_TRUE(asked->connection);
    EXPECT_EQ(asked->connection->number, 2);
    EXPECT_EQ(factory->living, std::set<int>{2});
}

TEST_F(a_pool, resets_what_comes_back_dirty_before_the_next_user_gets_it) {
    open({.max_size = 1});
    factory->reset_takes = 5ms;
    auto first = ask();
    world.run_for(0s);
    first->connection->is_dirty = true;
    auto second = ask();
    first->connection.give_back();
    world.run_for(4ms);
    EXPECT_FALSE(second->is_there);
    world.run_for(1ms);
    ASSERT_TRUE(second->connection);
    EXPECT_EQ(second->connection->number, 1);
    EXPECT_FALSE(second->connection->is_dirty);
}

TEST_F(a_pool, closes_what_cannot_be_reset) {
    open({.max_size = 1});
    auto first = ask();
    world.run_for(0s);
    first->connection->is_dirty = true;
    first->connection->is_broken = true;
    first->connection.give_back();
    auto second = ask();
    world.run_for(0s);
    EXPECT_EQ(second->connection->number, 2);
    EXPECT_EQ(factory->living, std::set<int>{2});
}

TEST_F(a_pool, makes_no_more_connections_at_once_than_allowed) {
    open({.max_size = 10, .max_connecting = 2});
    factory->connect_takes = 100ms;
    std::vector<std::shared_ptr<answer>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(ask());
    }
    world.run_for(50ms);
    EXPECT_EQ(pool->stats().connecting, 2U);
    EXPECT_EQ(factory->last, 2);
    world.run_for(450ms);
    EXPECT_EQ(pool->stats().in_use, 10U);
}

TEST_F(a_pool, closes_what_is_idle_for_long_but_for_min_idle) {
    open({.max_size = 10, .min_idle = 2, .idle_timeout = 1min, .max_lifetime = 0s});
    {
        std::vector<std::shared_ptr<answer>> all;
        for (int i = 0; i < 6; ++i) {
            all.push_back(ask());
        }
        world.run_for(1s);
        EXPECT_EQ(factory->living.size(), 8U) << "two are ready although six are in use";
    }
    world.run_for(58s);
    EXPECT_EQ(factory->living.size(), 8U);
    world.run_for(5s);
    EXPECT_EQ(factory->living.size(), 2U);
    world.run_for(1h);
    EXPECT_EQ(factory->living.size(), 2U);
    EXPECT_EQ(pool->stats().idled_out, 6U);
}

TEST_F(a_pool, keeps_min_idle_ready_from_the_beginning) {
    open({.max_size = 5, .min_idle = 3});
    world.run_for(0s);
    EXPECT_EQ(pool->stats().idle, 3U);
    auto one = ask();
    world.run_for(2s);
    EXPECT_EQ(pool->stats().idle, 3U);
    EXPECT_EQ(pool->stats().in_use, 1U);
}

TEST_F(a_pool, hands_out_nothing_begun_before_an_invalidation) {
    open({.max_size = 3});
    auto in_use = ask();
    auto idle = ask();
    world.run_for(0s);
    idle->connection.give_back();
    factory->connect_takes = 100ms;
    auto took_idle = ask();
    auto connecting = ask(1s);
    world.run_for(50ms);
    ASSERT_TRUE(took_idle->connection);
    took_idle->connection.give_back();  // to the one who waits: so make that one busy as well
    world.run_for(0s);
    ASSERT_TRUE(connecting->connection);
    auto waiting = ask(1s);
    pool->invalidate_all();
    world.run_for(50ms);
    EXPECT_FALSE(waiting->is_there) << "the connection under way was begun before";
    connecting->connection.give_back();
    in_use->connection.give_back();
    world.run_for(1s);
    ASSERT_TRUE(waiting->connection);
    EXPECT_GT(waiting->connection->number, 3);
    EXPECT_EQ(*factory->living.begin(), 4) << "the old ones are closed";
}

TEST_F(a_pool, drains_those_who_wait_and_then_is_closed) {
    open({.max_size = 1});
    auto held = ask();
    world.run_for(0s);
    auto waiting = ask();
    std::optional<bool> drained;
    pool->async_drain(10s, asio::bind_executor(world.executor(), [&](std::exception_ptr, bool is_drained) {
                          drained = is_drained;
                      }));
    auto late = ask();
    world.run_for(1s);
    EXPECT_EQ(late->reason(), pool_failure::closed);
    EXPECT_FALSE(waiting->is_there);
    held->connection.give_back();
    world.run_for(1s);
    ASSERT_TRUE(waiting->connection);
    EXPECT_FALSE(drained.has_value());
    waiting->connection.give_back();
    world.run_for(0s);
    EXPECT_EQ(drained, true);
    EXPECT_TRUE(factory->living.empty());
    EXPECT_EQ(world.sleeping(), 0U) << "a drained pool needs no timer";
}

TEST_F(a_pool, says_when_it_could_not_be_closed_in_time) {
    open({});
    auto held = ask();
    world.run_for(0s);
    std::optional<bool> closed;
    pool->async_close(1s, asio::bind_executor(world.executor(), [&](std::exception_ptr, bool is_closed) {
                          closed = is_closed;
                      }));
    world.run_for(999ms);
    EXPECT_FALSE(closed.has_value());
    world.run_for(1ms);
    EXPECT_EQ(closed, false);
    held->connection.give_back();
    EXPECT_TRUE(factory->living.empty());
}

}  // namespace
}  // namespace levee
