// Executing coroutines over a balancer, in virtual time and once on sockets.
#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/balance/make_strategy.hpp"
#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/route/execute.hpp"
#include "levee/testing/simulation.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

const std::system_error reset_connection(std::make_error_code(std::errc::connection_reset));

class executing_coroutines : public ::testing::Test {
protected:
    /// What the endpoints do: answer after a time, or fail.
    struct behaviour {
        duration takes = 1ms;
        bool fails = false;
    };

    asio::awaitable<std::string> ask(attempt& at) {
        const std::string id = at.endpoint().id;
        asked.push_back(id);
        const behaviour how = behaviours[id];
        co_await world.scheduler()->sleep_until(world.now() + how.takes);
        if (how.fails) {
            throw reset_connection;
        }
        co_return "from " + id;
    }

    void start(asio::cancellation_slot slot = {}) {
        const auto function = [this](attempt& at) { return ask(at); };
        async_execute(
            balancer, function, policy,
            asio::bind_executor(world.executor(), asio::bind_cancellation_slot(
                                                      slot, [this](std::exception_ptr e, std::string value) {
                                                          ++completed;
                                                          failure = e;
                                                          answer = value;
                                                      })));
        EXPECT_EQ(completed, 0);
    }

    std::error_code code() const {
        try {
            std::rethrow_exception(failure);
        } catch (const std::system_error& e) {
            return e.code();
        }
    }

    endpoint_set endpoints{{.id = "a"}, {.id = "b"}, {.id = "c"}};
    std::map<std::string, behaviour> behaviours;
    std::vector<std::string> asked;
    int completed = 0;
    std::exception_ptr failure;
    std::string answer;
    testing::simulation world{1};
    load_balancer balancer{
        endpoints, make_strategy("round_robin"), {.outlier = {}, .seed = 1, .clock = &world.clock()}};
    execute_policy policy{.is_idempotent = true, .scheduler = world.scheduler(), .seed = 1};
};

TEST_F(executing_coroutines, complete_with_the_answer) {
    start();
    world.run();
    EXPECT_EQ(completed, 1);
    EXPECT_EQ(failure, nullptr);
    EXPECT_EQ(answer, "from " + asked.at(0));
    EXPECT_EQ(world.sleeping(), 0U) << "the time limit does not linger";
}

TEST_F(executing_coroutines, leave_a_slow_endpoint_at_the_attempts_deadline) {
    policy.attempt_timeout = 50ms;
    for (const char* id : {"a", "b", "c"}) {
        behaviours[id].takes = 1h;
    }
    const time_point begun = world.now();
    start();
    world.run_for(49ms);
    ASSERT_EQ(asked.size(), 1U);
    for (auto& [id, how] : behaviours) {
        how.takes = 1ms;
    }
    world.run();
    EXPECT_EQ(completed, 1);
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_NE(asked[0], asked[1]);
    EXPECT_EQ(answer, "from " + asked[1]);
    EXPECT_LT(world.now() - begun, 70ms);
    std::uint64_t failures = 0;
    for (const endpoint_status& each : balancer.status()) {
        failures += each.failures;
        EXPECT_EQ(each.in_flight, 0U);
    }
    EXPECT_EQ(failures, 1U);
}

TEST_F(executing_coroutines, tell_what_each_attempt_met) {
    policy.attempt_timeout = 50ms;
    behaviours["a"].takes = 1h;
    behaviours["b"].fails = true;
    behaviours["c"].takes = 1h;
    start();
    world.run();
    ASSERT_EQ(completed, 1);
    try {
        std::rethrow_exception(failure);
    } catch (const execute_error& e) {
        EXPECT_EQ(e.code(), errc::unavailable);
        ASSERT_EQ(e.attempts().size(), 3U);
        for (const attempt_report& each : e.attempts()) {
            EXPECT_EQ(each.kind, each.endpoint == "b" ? outcome_kind::failed : outcome_kind::timed_out);
            EXPECT_EQ(each.took, each.endpoint == "b" ? 1ms : 50ms);
        }
    }
}

TEST_F(executing_coroutines, end_at_the_deadline_of_all) {
    policy.deadline = 80ms;
    policy.attempt_timeout = 50ms;
    policy.max_attempts = 10;
    for (const char* id : {"a", "b", "c"}) {
        behaviours[id].takes = 1h;
    }
    const time_point begun = world.now();
    start();
    world.run();
    EXPECT_EQ(code(), errc::timeout);
    EXPECT_LE(world.now() - begun, 80ms);
}

TEST_F(executing_coroutines, are_cancelled_in_an_attempt_and_in_the_wait_for_one) {
    for (const bool in_attempt : {true, false}) {
        completed = 0;
        asio::cancellation_signal signal;
        behaviours["a"] = behaviours["b"] = behaviours["c"] = {in_attempt ? 1h : 1ms, !in_attempt};
        policy.backoff = {.initial = 1s, .max = 1s, .jitter = backoff_jitter::none};
        start(signal.slot());
        const std::size_t before = asked.size();
        world.run_for(500ms);
        EXPECT_EQ(asked.size(), before + 1);
        signal.emit(asio::cancellation_type::total);
        world.run_for(1ns);
        EXPECT_EQ(completed, 1);
        EXPECT_EQ(code(), errc::cancelled);
        world.run();
        EXPECT_EQ(asked.size(), before + 1);
    }
    std::uint64_t cancelled = 0;
    std::uint64_t failures = 0;
    for (const endpoint_status& each : balancer.status()) {
        cancelled += each.cancelled;
        failures += each.failures;
        EXPECT_EQ(each.in_flight, 0U);
    }
    EXPECT_EQ(cancelled, 1U);
    EXPECT_EQ(failures, 1U);
}

TEST_F(executing_coroutines, let_go_of_the_signal_before_they_complete) {
    // Emissions that are under way when an operation completes, at whichever step.
    const auto function = [this](attempt& at) { return ask(at); };
    int emissions = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        testing::simulation own(seed);
        policy.scheduler = own.scheduler();
        auto signal = std::make_unique<asio::cancellation_signal>();
        std::function<void()> emit = [&] {
            if (signal != nullptr) {
                ++emissions;
                signal->emit(asio::cancellation_type::terminal);
                asio::post(own.executor(), emit);
            }
        };
        const auto slot = signal->slot();
        async_execute(
            balancer, function, policy,
            asio::bind_executor(own.executor(), asio::bind_cancellation_slot(
                                                    slot, [&](const std::exception_ptr&, const std::string&) {
                                                        EXPECT_FALSE(slot.has_handler());
                                                        signal.reset();
                                                    })));
        asio::post(own.executor(), emit);
        own.run();
        EXPECT_EQ(signal, nullptr);
    }
    EXPECT_GT(emissions, 200);
}

TEST_F(executing_coroutines, leave_nothing_in_the_slot_that_knows_a_destroyed_executor) {
    asio::cancellation_signal signal;
    {
        testing::simulation own(1);
        policy.scheduler = own.scheduler();
        behaviours["a"] = behaviours["b"] = behaviours["c"] = {1h, false};
        const auto function = [this, &own](attempt& at) -> asio::awaitable<void> {
            asked.push_back(at.endpoint().id);
            co_await own.scheduler()->sleep_until(own.now() + 1h);
        };
        async_execute(
            balancer, function, policy,
            asio::bind_executor(own.executor(),
                                asio::bind_cancellation_slot(
                                    signal.slot(), [this](const std::exception_ptr&) { ++completed; })));
        own.run_for(1s);
    }
    signal.emit(asio::cancellation_type::terminal);
    EXPECT_EQ(asked.size(), 1U);
    EXPECT_EQ(completed, 0);
}

TEST_F(executing_coroutines, are_destroyed_with_their_executor) {
    behaviours["a"] = behaviours["b"] = behaviours["c"] = {1h, false};
    start();
    world.run_for(1s);  // the sanitizer sees what is left behind
    EXPECT_EQ(asked.size(), 1U);
}

TEST_F(executing_coroutines, report_each_attempt_once_under_many_interleavings) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        testing::simulation own(seed);
        splitmix64 random(seed);
        load_balancer mine(endpoints, make_strategy("least_response_time"),
                           {.outlier = {}, .seed = seed + 1, .clock = &own.clock()});
        execute_policy how{.deadline = 20ms,
                           .attempt_timeout = 4ms,
                           .is_idempotent = true,
                           .backoff = {.initial = 1ms, .max = 2ms},
                           .scheduler = own.scheduler(),
                           .seed = seed + 1};
        int attempts = 0;
        int done = 0;
        int rounds = 20;
        const auto function = [&](attempt&) -> asio::awaitable<void> {
            ++attempts;
            // Whole milliseconds, so that answers and limits come at the same moment.
            const auto takes = std::chrono::milliseconds(uniform_below(random, 7));
            const bool fails = uniform_below(random, 4) == 0;
            co_await own.scheduler()->sleep_until(own.now() + takes);
            if (fails) {
                throw reset_connection;
            }
        };
        std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
        for (int i = 0; i < rounds; ++i) {
            signals.push_back(std::make_unique<asio::cancellation_signal>());
            async_execute(mine, function, how,
                          asio::bind_executor(own.executor(), asio::bind_cancellation_slot(
                                                                  signals.back()->slot(),
                                                                  [&](std::exception_ptr) { ++done; })));
        }
        own.run_for(std::chrono::milliseconds(uniform_below(random, 8)));
        for (std::size_t i = 0; i < signals.size(); i += 5) {
            signals[i]->emit(asio::cancellation_type::terminal);
        }
        own.run();
        std::uint64_t picks = 0;
        std::uint64_t in_flight = 0;
        for (const endpoint_status& each : mine.status()) {
            picks += each.picks;
            in_flight += each.in_flight;
        }
        ASSERT_EQ(done, rounds) << seed;
        ASSERT_EQ(in_flight, 0U) << seed;
        ASSERT_EQ(picks, static_cast<std::uint64_t>(attempts)) << seed;
    }
}

TEST(execute_on_sockets, finds_the_endpoint_that_listens) {
    runtime threads(2);
    using asio::ip::tcp;
    const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
    tcp::acceptor open(threads.get_executor(), any_port);
    std::vector<endpoint> all{{.id = "open", .host = "127.0.0.1", .port = open.local_endpoint().port()}};
    for (int i = 0; i < 3; ++i) {
        tcp::acceptor closed(threads.get_executor(), any_port);  // lets go of the port at once
        all.push_back({.id = "closed" + std::to_string(i),
                       .host = "127.0.0.1",
                       .port = closed.local_endpoint().port()});
    }
    load_balancer balancer(endpoint_set(all), make_strategy("round_robin"), {.outlier = {}});
    execute_policy policy{.max_attempts = 4, .backoff = {.initial = 1us, .max = 1us}};
    const auto connect = [](attempt& at) -> asio::awaitable<std::string> {
        tcp::socket socket(co_await asio::this_coro::executor);
        const tcp::endpoint there(asio::ip::make_address(at.endpoint().host), at.endpoint().port);
        co_await socket.async_connect(there, asio::use_awaitable);
        co_return at.endpoint().id;
    };
    const auto ask = [&]() -> asio::awaitable<std::string> {
        co_return co_await async_execute(balancer, connect, policy, asio::use_awaitable);
    };
    std::vector<std::future<std::string>> answers;
    for (int i = 0; i < 50; ++i) {
        answers.push_back(asio::co_spawn(threads.get_executor(), ask(), asio::use_future));
    }
    for (auto& each : answers) {
        EXPECT_EQ(each.get(), "open");
    }
}

}  // namespace
}  // namespace levee::route
