// What a pool runs elsewhere, in virtual time: jobs that hang or are not wanted any more, and callers who
// give up.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "unit/pool/stub_factory.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

using a_pool = test::pool_test;

// P7: the dead server answers nothing at all.
TEST_F(a_pool, does_not_wait_for_the_old_server_after_an_invalidation) {
    std::vector<pool_event> failed;
    open({.connect_timeout = 1h, .observer = [&](const pool_event& event) {
              if (event.kind == pool_event_kind::connect_failed) {
                  failed.push_back(event);
              }
          }});
    factory->connect_takes = 1h;
    auto first = ask();
    auto second = ask();
    world.run_for(1s);
    EXPECT_EQ(pool->stats().connecting, 2U);
    factory->connect_takes = 10ms;
    pool->invalidate_all();
    world.run_for(10ms);
    EXPECT_TRUE(first->connection);
    EXPECT_TRUE(second->connection);
    EXPECT_EQ(pool->stats().connect_failures, 0U) << "nothing says that the new server fails";
    ASSERT_EQ(failed.size(), 2U);
    EXPECT_EQ(failed[0].took, 1s);
    EXPECT_EQ(failed[0].connection + failed[1].connection, 1U + 2U);
}

TEST_F(a_pool, does_not_wait_for_what_is_validated_or_reset_during_an_invalidation) {
    open({.max_size = 2, .validation_timeout = 1h, .reset_timeout = 1h});
    auto checked = ask();
    auto reset = ask();
    world.run_for(0s);
    checked->connection.give_back();
    world.run_for(1s);
    factory->validation_takes = factory->reset_takes = 1h;
    reset->connection->is_dirty = true;
    reset->connection.give_back();
    auto first = ask();
    auto second = ask();
    world.run_for(1ms);
    ASSERT_EQ(pool->stats().checking, 2U);
    pool->invalidate_all();
    world.run_for(1ms);
    ASSERT_TRUE(first->connection);
    ASSERT_TRUE(second->connection);
    EXPECT_EQ(factory->living, (std::set<int>{3, 4}));
    EXPECT_EQ(pool->stats().invalid, 0U) << "nobody found them broken";
}

TEST_F(a_pool, replaces_a_connection_whose_reset_takes_too_long) {
    open({.max_size = 1, .reset_timeout = 100ms});
    auto first = ask();
    world.run_for(0s);
    factory->reset_takes = 1h;
    first->connection->is_dirty = true;
    first->connection.give_back();
    auto next = ask();
    world.run_for(100ms);
    ASSERT_TRUE(next->connection);
    EXPECT_EQ(next->connection->number, 2);
    EXPECT_EQ(factory->living, std::set<int>{2});
}

TEST_F(a_pool, stops_also_a_job_that_is_just_being_begun) {
    open({.max_connecting = 1, .observer = [&](const pool_event& event) {
              if (event.kind == pool_event_kind::connected) {
                  static_cast<void>(pool->close());  // between the decision to connect again and the doing
              }
          }});
    auto first = ask();
    auto second = ask();
    factory->connect_takes = 1ms;
    world.run_for(0s);
    factory->connect_takes = 1h;
    world.run_for(1s);
    ASSERT_TRUE(first->connection);
    EXPECT_EQ(second->reason(), pool_failure::closed);
    EXPECT_EQ(world.sleeping(), 0U) << "it goes on connecting, or waits for a time that nobody needs";
}

struct asks_the_pool {
    std::shared_ptr<std::unique_ptr<connection_pool<int>>> pool;
    ~asks_the_pool() {
        if (*pool != nullptr) {
            static_cast<void>((*pool)->stats());
        }
    }
};

TEST(an_error_of_the_factory, may_use_the_pool_when_it_is_destroyed) {
    testing::simulation world(1);
    auto pool = std::make_shared<std::unique_ptr<connection_pool<int>>>();
    int tries = 0;
    const auto connect = [&]() -> asio::awaitable<int> {
        if (++tries < 3) {
            throw asks_the_pool{pool};
        }
        if (tries == 3) {
            co_await world.scheduler()->sleep_until(world.now() + 1h);  // until it is stopped
        }
        co_return tries;
    };
    *pool = std::make_unique<connection_pool<int>>(
        factory_from(connect),
        pool_options{.connect_timeout = 1s, .scheduler = world.scheduler(), .seed = 1});
    bool is_served = false;
    (*pool)->async_acquire(asio::bind_executor(
        world.executor(), [&](std::exception_ptr, pooled<int> got) { is_served = static_cast<bool>(got); }));
    world.run_for(3s);
    EXPECT_TRUE(is_served);
    EXPECT_EQ(tries, 4);
    pool->reset();
}

// P3
TEST_F(a_pool, does_not_heed_a_cancellation_that_comes_after_the_hand_over) {
    open({.max_size = 1});
    auto held = ask();
    world.run_for(0s);
    auto next = ask();
    held->connection.give_back();  // decided, though the handler has not run
    next->cancel.emit(asio::cancellation_type::total);
    world.run_for(0s);
    EXPECT_TRUE(next->connection);
    next->cancel.emit(asio::cancellation_type::total);
    EXPECT_EQ(pool->stats().cancelled, 0U);
    EXPECT_EQ(pool->stats().in_use, 1U);
}

TEST_F(a_pool, goes_on_draining_when_the_caller_gives_up) {
    open({});
    auto held = ask();
    world.run_for(0s);
    asio::cancellation_signal cancel;
    std::exception_ptr failure;
    pool->async_drain(1h, asio::bind_cancellation_slot(
                              cancel.slot(), asio::bind_executor(world.executor(),
                                                                 [&](std::exception_ptr e, bool is_drained) {
                                                                     failure = std::move(e);
                                                                     EXPECT_FALSE(is_drained);
                                                                 })));
    world.run_for(1s);
    cancel.emit(asio::cancellation_type::terminal);
    world.run_for(0s);
    try {
        ASSERT_NE(failure, nullptr);
        std::rethrow_exception(failure);
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::cancelled);
    }
    auto late = ask();
    world.run_for(0s);
    EXPECT_EQ(late->reason(), pool_failure::closed);
    held->connection.give_back();
    EXPECT_TRUE(factory->living.empty());
}

}  // namespace
}  // namespace levee
