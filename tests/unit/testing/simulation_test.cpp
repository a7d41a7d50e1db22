#include "levee/testing/simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/testing/manual_clock.hpp"

namespace levee::testing {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

std::vector<int> order_under(std::uint64_t seed) {
    simulation world(seed);
    std::vector<int> order;
    for (int i = 0; i < 10; ++i) {
        asio::post(world.executor(), [&order, i] { order.push_back(i); });
    }
    EXPECT_TRUE(order.empty()) << "nothing runs inside post";
    EXPECT_EQ(world.run(), 10U);
    return order;
}

TEST(a_simulation, repeats_its_order_for_one_seed_and_varies_it_over_seeds) {
    EXPECT_EQ(order_under(1), order_under(1));
    std::vector<std::vector<int>> orders;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        orders.push_back(order_under(seed));
    }
    std::sort(orders.begin(), orders.end());
    EXPECT_EQ(std::unique(orders.begin(), orders.end()) - orders.begin(), 50);
}

TEST(a_simulation, keeps_the_order_of_a_strand) {
    simulation world(3);
    const auto strand = asio::make_strand(world.executor());
    std::vector<int> order;
    for (int i = 0; i < 10; ++i) {
        asio::post(strand, [&order, i] { order.push_back(i); });
    }
    world.run();
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_EQ(order.size(), 10U);
}

asio::awaitable<void> sleep_and_note(simulation& world, duration span, std::vector<duration>& woken) {
    const time_point start = world.now();
    co_await world.scheduler()->sleep_until(start + span);
    woken.push_back(world.now() - start);
}

TEST(a_simulation, passes_time_only_when_nothing_is_ready_and_wakes_in_order) {
    simulation world(1);
    std::vector<duration> woken;
    for (const duration span : {duration(3h), duration(1ns), duration(20ms), duration(0), duration(-1s)}) {
        asio::co_spawn(world.executor(), sleep_and_note(world, span, woken), asio::detached);
    }
    world.run();
    EXPECT_EQ(woken, (std::vector<duration>{0s, 0s, 1ns, 20ms, 3h}));
    EXPECT_EQ(world.sleeping(), 0U);
}

TEST(a_simulation, runs_for_just_the_span_it_is_told) {
    simulation world(1);
    std::vector<duration> woken;
    const time_point start = world.now();
    asio::co_spawn(world.executor(), sleep_and_note(world, 1s, woken), asio::detached);
    asio::co_spawn(world.executor(), sleep_and_note(world, 3s, woken), asio::detached);
    world.run_for(2s);
    EXPECT_EQ(woken, std::vector<duration>{1s});
    EXPECT_EQ(world.now(), start + 2s);
    EXPECT_EQ(world.sleeping(), 1U);
    world.run_for(1s);
    EXPECT_EQ(woken.size(), 2U);
}

TEST(a_simulation, ends_a_cancelled_sleep_at_once) {
    simulation world(1);
    asio::cancellation_signal signal;
    std::error_code code;
    std::vector<duration> woken;
    const time_point start = world.now();
    asio::co_spawn(world.executor(), sleep_and_note(world, 1h, woken),
                   asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure) {
                       try {
                           std::rethrow_exception(failure);
                       } catch (const error& e) {
                           code = e.code();
                       }
                   }));
    world.run_for(1s);
    signal.emit(asio::cancellation_type::terminal);
    world.run();
    EXPECT_EQ(code, errc::cancelled);
    EXPECT_TRUE(woken.empty());
    EXPECT_EQ(world.now(), start + 1s);
}

TEST(a_simulation, stops_after_the_steps_it_is_allowed) {
    simulation world(1);
    std::function<void()> again = [&] { asio::post(world.executor(), again); };
    again();
    EXPECT_EQ(world.run(1000), 1000U);
    EXPECT_EQ(world.ready(), 1U);
}

TEST(a_simulation, destroys_what_has_not_run) {
    const auto token = std::make_shared<int>();
    {
        simulation world(1);
        asio::post(world.executor(), [token] {});
        std::vector<duration> woken;
        const auto holding = [](std::shared_ptr<int>, simulation& in) -> asio::awaitable<void> {
            co_await in.scheduler()->sleep_until(in.now() + 1h);
        };
        asio::co_spawn(world.executor(), holding(token, world), asio::detached);
        world.step();
        world.step();
    }
    EXPECT_EQ(token.use_count(), 1);
}

TEST(a_manual_clock, stands_still_until_it_is_moved_and_saturates) {
    manual_clock clock;
    const time_point start = clock.now();
    EXPECT_EQ(clock.now(), start);
    clock.advance(5s);
    EXPECT_EQ(clock.now(), start + 5s);
    clock.advance(-6s);
    EXPECT_EQ(clock.now(), start - 1s);
    clock.advance(duration::max());
    EXPECT_EQ(clock.now(), time_point::max());
    clock.set(start);
    EXPECT_EQ(clock.now(), start);
}

TEST(a_simulation, lets_who_sleeps_for_ever_be_woken_by_cancellation_only) {
    simulation world(1);
    asio::cancellation_signal stop;
    std::error_code failure;
    const auto start = world.now();
    asio::co_spawn(world.executor(), world.scheduler()->sleep_until((time_point::max)()),
                   asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr& e) {
                       try {
                           std::rethrow_exception(e);
                       } catch (const error& cancelled) {
                           failure = cancelled.code();
                       }
                   }));
    world.run();
    EXPECT_EQ(world.now(), start) << "time does not run to its end";
    EXPECT_EQ(world.sleeping(), 1U);
    stop.emit(asio::cancellation_type::terminal);
    world.run();
    EXPECT_EQ(failure, errc::cancelled);
}

}  // namespace
}  // namespace levee::testing
