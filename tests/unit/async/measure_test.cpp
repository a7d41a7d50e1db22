#include "levee/async/measure.hpp"
#include "levee/core/error.hpp"
#include "levee/testing/simulation.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <optional>
#include <stdexcept>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::async_measure;
using levee::percentile_monitor;

struct async_measures : testing::Test {
    levee::testing::simulation world{1};
    percentile_monitor monitor{{.clock = &world.clock()}};
    percentile_monitor::handle op = monitor.operation("op");

    asio::awaitable<std::unique_ptr<int>> answer_after(levee::duration time) {
        co_await world.scheduler()->sleep_until(world.now() + time);
        co_return std::make_unique<int>(42);
    }
    asio::awaitable<void> fail_after(levee::duration time) {
        co_await world.scheduler()->sleep_until(world.now() + time);
        throw std::runtime_error("the call");
    }
};

TEST_F(async_measures, count_from_the_await_to_the_answer_which_passes_through) {
    asio::co_spawn(
        world.executor(),
        [&]() -> asio::awaitable<void> {
            auto work = async_measure(op, answer_after(7ms));
            co_await world.scheduler()->sleep_until(world.now() + 1s);  // not counted: nothing is awaited yet
            const auto answer = co_await std::move(work);
            EXPECT_EQ(*answer, 42);
        },
        asio::detached);
    world.run();
    EXPECT_EQ(monitor.stats("op").count, 1u);
    EXPECT_EQ(monitor.stats("op").max, 7ms);
}

TEST_F(async_measures, count_an_exception_as_a_failure_and_let_it_pass) {
    bool passed = false;
    asio::co_spawn(
        world.executor(),
        [&]() -> asio::awaitable<void> {
            try {
                co_await async_measure(op, fail_after(2s));
            } catch (const std::runtime_error&) {
                passed = true;
            }
        },
        asio::detached);
    world.run();
    EXPECT_TRUE(passed);
    EXPECT_EQ(monitor.stats("op").count, 0u);
    EXPECT_EQ(monitor.stats("op").failures, 1u);
    EXPECT_EQ(monitor.stats("op").failed.max, 2s);
}

TEST_F(async_measures, count_nothing_when_destroyed_while_they_wait) {
    {
        auto own = std::make_unique<levee::testing::simulation>(2);
        asio::co_spawn(own->executor(), async_measure(op, answer_after(1h)),
                       [](std::exception_ptr, std::unique_ptr<int>) {});
        own->run(1);
        world.run(1);
    }
    EXPECT_EQ(monitor.stats("op").count + monitor.stats("op").failures, 0u);
}

TEST_F(async_measures, ticks_keep_the_windows_as_long_as_their_names_say) {
    asio::cancellation_signal stop;
    std::exception_ptr ended;
    asio::co_spawn(world.executor(), levee::async::tick_each_second(monitor, world.scheduler()),
                   asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr e) { ended = e; }));
    op.record(1ms);
    world.run_for(100s);
    const auto stats = monitor.stats("op");
    EXPECT_EQ(stats.last_10s.span, 10s);
    EXPECT_EQ(stats.last_minute.span, 60s);
    EXPECT_EQ(stats.last_minute.count, 0u);
    EXPECT_EQ(stats.count, 1u);
    stop.emit(asio::cancellation_type::terminal);
    world.run();
    ASSERT_TRUE(ended) << "ended by cancellation";
    EXPECT_THROW(std::rethrow_exception(ended), levee::error);
}

}  // namespace
