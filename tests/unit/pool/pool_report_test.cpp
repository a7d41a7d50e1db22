// What a pool says: errors, events, statistics, refused options.
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

TEST_F(a_pool, names_the_holders_when_it_is_exhausted) {
    open({.name = "orders", .max_size = 2});
    auto first = ask({}, "checkout");
    world.run_for(2s);
    auto second = ask({}, std::source_location::current());
    world.run_for(1s);
    auto asked = ask(500ms);
    world.run_for(1s);
    ASSERT_EQ(asked->reason(), pool_failure::exhausted);
    try {
        std::rethrow_exception(asked->failure);
    } catch (const pool_error& e) {
        ASSERT_EQ(e.holders().size(), 2U);
        EXPECT_EQ(e.holders()[0].label, "checkout");
        EXPECT_EQ(e.holders()[0].held_for, 3500ms);
        EXPECT_EQ(e.holders()[1].label.substr(0, 21), "pool_report_test.cpp:");
        EXPECT_NE(std::string(e.what()).find(
                      "all 2 connections are held, for the longest time by checkout (3.5 s)"),
                  std::string::npos)
            << e.what();
        EXPECT_EQ(e.last_connect_error(), nullptr);
    }
}

TEST_F(a_pool, says_times_for_people_to_read) {
    open({.max_size = 1, .acquire_timeout = 1ms, .idle_timeout = 0s, .max_lifetime = 0s});
    auto held = ask({}, "report");
    world.run_for(0s);
    const auto error_now = [&] {
        auto asked = ask(0s);
        world.run_for(0s);
        return asked->what();
    };
    world.run_for(77ms);
    EXPECT_NE(error_now().find("report (77 ms)"), std::string::npos) << error_now();
    world.run_for(999'900us - 77ms);
    EXPECT_NE(error_now().find("report (1 s)"), std::string::npos) << error_now();
    world.run_for(20min);
    EXPECT_NE(error_now().find("report (1201 s)"), std::string::npos) << error_now();
}

TEST_F(a_pool, tells_its_observer_what_happens) {
    std::vector<pool_event_kind> seen;
    std::vector<pool_event> events;
    open({.max_size = 1, .leak_threshold = 10s, .observer = [&](const pool_event& event) {
              seen.push_back(event.kind);
              events.push_back(event);
              throw std::runtime_error("which changes nothing");
          }});
    factory->connect_takes = 20ms;
    auto held = ask({}, "slow report");
    world.run_for(30s);
    held->connection.discard();
    using enum pool_event_kind;
    EXPECT_EQ(seen, (std::vector{connected, acquired, leaked, released, removed}));
    EXPECT_EQ(events[0].took, 20ms);
    EXPECT_EQ(events[1].took, 20ms);
    EXPECT_EQ(events[2].label.to_string(), "slow report");
    EXPECT_GE(events[2].took, 10s);
    EXPECT_EQ(events[4].cause, pool_removal::discarded);
    factory->is_down = true;
    auto failing = ask(10ms);
    world.run_for(1s);
    EXPECT_EQ(events[5].kind, connect_failed);
    EXPECT_NE(events[5].error, nullptr);
}

TEST_F(a_pool, counts) {
    open({.max_size = 1});
    auto held = ask();
    world.run_for(0s);
    auto waited = ask();
    auto late = ask(5ms);
    world.run_for(10ms);
    pool_stats stats = pool->stats();
    EXPECT_EQ(stats.in_use, 1U);
    EXPECT_EQ(stats.waiting, 1U);
    EXPECT_EQ(stats.timeouts, 1U);
    held->connection.give_back();
    world.run_for(0s);
    waited->connection.discard();
    stats = pool->stats();
    EXPECT_EQ(stats.acquired, 2U);
    EXPECT_EQ(stats.created, 1U);
    EXPECT_EQ(stats.discarded, 1U);
    EXPECT_EQ(stats.in_use + stats.idle, 0U);
    EXPECT_EQ(stats.waits.count(), 2U);
    EXPECT_EQ((stats.waits.max)(), 10'000'000U);
}

TEST(a_new_pool, refuses_wrong_options_by_name) {
    testing::simulation world(1);
    const auto message = [&](auto change) {
        pool_options options{.scheduler = world.scheduler()};
        change(options);
        try {
            connection_pool<test::dummy> pool(std::make_shared<test::stub_factory>(world.scheduler()),
                                              options);
        } catch (const std::invalid_argument& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    EXPECT_EQ(message([](pool_options&) {}), "accepted");
    EXPECT_EQ(message([](pool_options& o) { o.max_size = 0; }),
              "pool_options::max_size is 0; it must be in [1, 65535]");
    EXPECT_EQ(message([](pool_options& o) { o.min_idle = 11; }),
              "pool_options::min_idle is 11; it must be at most max_size, which is 10");
    EXPECT_EQ(message([](pool_options& o) { o.max_waiters = 65'536; }),
              "pool_options::max_waiters is 65536; it must be at most 65535");
    EXPECT_EQ(message([](pool_options& o) { o.max_waiters = 0; }),
              "pool_options::max_waiters is 0; it must be above 0, or min_idle must be: nobody would ever "
              "wait for a connection to be made");
    EXPECT_EQ(message([](pool_options& o) { o.max_waiters = 0, o.min_idle = 1; }), "accepted");
    EXPECT_EQ(message([](pool_options& o) { o.acquire_timeout = 0s; }),
              "pool_options::acquire_timeout is 0 ns; it must be above zero");
    EXPECT_EQ(message([](pool_options& o) { o.validation_timeout = -1ns; }),
              "pool_options::validation_timeout is -1 ns; it must be above zero");
    EXPECT_EQ(message([](pool_options& o) { o.reset_timeout = 0s; }),
              "pool_options::reset_timeout is 0 ns; it must be above zero");
    EXPECT_EQ(message([](pool_options& o) { o.connect_timeout = 0s; }),
              "pool_options::connect_timeout is 0 ns; it must be above zero");
    EXPECT_EQ(message([](pool_options& o) { o.idle_timeout = -1ns; }),
              "pool_options::idle_timeout is -1 ns; it must be zero or above");
    EXPECT_EQ(message([](pool_options& o) { o.max_lifetime = -1ns; }),
              "pool_options::max_lifetime is -1 ns; it must be zero or above");
    EXPECT_EQ(message([](pool_options& o) { o.validate_after_idle = -1ns; }),
              "pool_options::validate_after_idle is -1 ns; it must be zero or above");
    EXPECT_EQ(message([](pool_options& o) { o.leak_threshold = -1ns; }),
              "pool_options::leak_threshold is -1 ns; it must be zero or above");
    EXPECT_EQ(message([](pool_options& o) { o.lifetime_jitter = 1.0; }),
              "pool_options::lifetime_jitter is 1.000000; it must be in [0, 1)");
    EXPECT_EQ(message([](pool_options& o) { o.max_connecting = 0; }),
              "pool_options::max_connecting is 0; it must be at least 1");
    EXPECT_NE(message([](pool_options& o) { o.backoff.initial = 0s; }).find("initial"), std::string::npos);
    EXPECT_NE(message([](pool_options& o) { o.scheduler = nullptr; }).find("executor"), std::string::npos);
}

}  // namespace
}  // namespace levee
