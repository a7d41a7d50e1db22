#include "levee/route/execute.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/balance/make_strategy.hpp"
#include "levee/core/error.hpp"
#include "levee/testing/manual_clock.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Time that passes by being waited for.
class instant_scheduler final : public async::scheduler {
public:
    [[nodiscard]] asio::any_io_executor executor() const override { return {}; }
    [[nodiscard]] time_point now() const noexcept override { return clock.now(); }
    [[nodiscard]] asio::awaitable<void> sleep_until(time_point until) override {
        slept += until - clock.now();
        clock.set(until);
        co_return;
    }
    testing::manual_clock clock;
    duration slept{};
};

const std::system_error refused_connection(std::make_error_code(std::errc::connection_refused));
const std::system_error reset_connection(std::make_error_code(std::errc::connection_reset));

class executing : public ::testing::Test {
protected:
    endpoint_status status(const std::string& id) {
        for (const endpoint_status& each : balancer.status()) {
            if (each.id == id) {
                return each;
            }
        }
        return {};
    }

    std::uint64_t in_flight() {
        std::uint64_t sum = 0;
        for (const endpoint_status& each : balancer.status()) {
            sum += each.in_flight;
        }
        return sum;
    }

    std::shared_ptr<instant_scheduler> time = std::make_shared<instant_scheduler>();
    endpoint_set endpoints{{.id = "a"}, {.id = "b"}, {.id = "c"}};
    load_balancer balancer{
        endpoints, make_strategy("round_robin"), {.outlier = {}, .seed = 1, .clock = &time->clock}};
    execute_policy policy{.is_idempotent = true, .scheduler = time, .seed = 1};
    std::vector<std::string> asked;
};

TEST_F(executing, returns_what_the_function_returns) {
    EXPECT_EQ(execute(
                  balancer, [](attempt& at) { return "from " + at.endpoint().id.substr(0, 0); }, policy),
              "from ");
    int calls = 0;
    execute(balancer, [&](attempt&) { ++calls; }, policy);
    execute(balancer, [&](attempt&) { ++calls; });
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(status("a").picks + status("b").picks + status("c").picks, 3U);
    EXPECT_EQ(in_flight(), 0U);
}

TEST_F(executing, tries_another_endpoint_each_time) {
    const auto answer = execute(
        balancer,
        [&](attempt& at) {
            EXPECT_EQ(at.number(), asked.size());
            asked.push_back(at.endpoint().id);
            if (asked.size() < 3) {
                throw reset_connection;
            }
            return asked.size();
        },
        policy);
    EXPECT_EQ(answer, 3U);
    std::sort(asked.begin(), asked.end());
    EXPECT_EQ(asked, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(status("a").failures + status("b").failures + status("c").failures, 2U);
    EXPECT_GT(time->slept, 0ns);
}

TEST_F(executing, begins_again_once_every_endpoint_was_tried) {
    policy.max_attempts = 7;
    EXPECT_THROW(execute(
                     balancer,
                     [&](attempt& at) {
                         asked.push_back(at.endpoint().id);
                         throw reset_connection;
                     },
                     policy),
                 execute_error);
    ASSERT_EQ(asked.size(), 7U);
    for (std::size_t begin : {0U, 3U}) {
        std::vector<std::string> round(asked.begin() + static_cast<std::ptrdiff_t>(begin),
                                       asked.begin() + static_cast<std::ptrdiff_t>(begin) + 3);
        std::sort(round.begin(), round.end());
        EXPECT_EQ(round, (std::vector<std::string>{"a", "b", "c"}));
    }
}

TEST_F(executing, tells_what_each_attempt_met) {
    try {
        execute(
            balancer,
            [&](attempt& at) {
                time->clock.advance(7ms);
                asked.push_back(at.endpoint().id);
                throw error(errc::timeout, "asking");
            },
            policy);
        FAIL();
    } catch (const execute_error& e) {
        EXPECT_EQ(e.code(), errc::unavailable);
        ASSERT_EQ(e.attempts().size(), 3U);
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(e.attempts()[i].endpoint, asked[i]);
            EXPECT_EQ(e.attempts()[i].kind, outcome_kind::timed_out);
            EXPECT_EQ(e.attempts()[i].took, 7ms);
            EXPECT_NE(e.attempts()[i].error, nullptr);
            EXPECT_NE(std::string(e.what()).find(asked[i] + ": timed out after 7 ms (asking"),
                      std::string::npos)
                << e.what();
        }
    }
}

TEST_F(executing, repeats_what_is_not_idempotent_only_if_nothing_was_done) {
    policy.is_idempotent = false;
    const auto attempts_with = [&](auto how) {
        int calls = 0;
        try {
            execute(
                balancer,
                [&](attempt& at) {
                    ++calls;
                    how(at);
                },
                policy);
        } catch (const std::exception&) {
        }
        return calls;
    };
    EXPECT_EQ(attempts_with([](attempt&) { throw reset_connection; }), 1);
    EXPECT_EQ(attempts_with([](attempt&) { throw error(errc::timeout); }), 1);
    EXPECT_EQ(attempts_with([](attempt&) { throw refused_connection; }), 3);
    EXPECT_EQ(attempts_with([](attempt& at) {
                  at.mark_unsent();
                  throw error(errc::timeout);
              }),
              3);
    EXPECT_EQ(attempts_with([](attempt& at) {
                  at.report(outcome_kind::overloaded);
                  throw std::runtime_error("busy");
              }),
              3);
}

TEST_F(executing, rethrows_as_it_is_what_another_attempt_would_not_help) {
    struct not_found : std::runtime_error {
        using runtime_error::runtime_error;
    };
    int calls = 0;
    EXPECT_THROW(execute(
                     balancer,
                     [&](attempt& at) {
                         ++calls;
                         at.report(outcome_kind::ok);  // the endpoint did nothing wrong
                         throw not_found("42");
                     },
                     policy),
                 not_found);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(status("a").failures + status("b").failures + status("c").failures, 0U);
}

TEST_F(executing, asks_the_policys_own_judge) {
    policy.classify = [](const std::exception_ptr&) { return verdict{outcome_kind::cancelled, true}; };
    int calls = 0;
    EXPECT_THROW(execute(
                     balancer,
                     [&](attempt&) {
                         ++calls;
                         throw 42;
                     },
                     policy),
                 execute_error);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(status("a").cancelled + status("b").cancelled + status("c").cancelled, 3U);
}

TEST_F(executing, stays_within_the_deadline) {
    policy.deadline = 100ms;
    policy.attempt_timeout = 40ms;
    policy.max_attempts = 100;
    const time_point start = time->now();
    try {
        execute(
            balancer,
            [&](attempt& at) {
                EXPECT_LE(at.deadline(), start + 100ms);
                EXPECT_LE(at.deadline(), time->now() + 40ms);
                time->clock.set(at.deadline());
                throw error(errc::timeout);
            },
            policy);
        FAIL();
    } catch (const execute_error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
        EXPECT_GE(e.attempts().size(), 2U);
    }
    EXPECT_LE(time->now(), start + 100ms);
}

TEST_F(executing, spends_the_retry_budget_and_then_stops) {
    policy.budget =
        std::make_shared<retry_budget>(retry_budget_options{.share = 0.2, .minimum_a_second = 0.0});
    load_balancer feeding(endpoints, make_strategy("round_robin"),
                          {.outlier = {}, .retry_budget = policy.budget, .seed = 1, .clock = &time->clock});
    int calls = 0;
    std::string last;
    policy.backoff = {.initial = 1us, .max = 1us};  // all within the budget's window
    for (int i = 0; i < 1000; ++i) {
        try {
            execute(
                feeding,
                [&](attempt&) {
                    ++calls;
                    throw reset_connection;
                },
                policy);
        } catch (const execute_error& e) {
            last = e.what();
        }
    }
    EXPECT_GE(calls, 1150);
    EXPECT_LE(calls, 1200);
    EXPECT_NE(last.find("the retry budget is spent"), std::string::npos);
}

TEST_F(executing, waits_for_an_endpoint_as_often_as_it_may_try) {
    endpoints.update({});
    int calls = 0;
    try {
        execute(balancer, [&](attempt&) { ++calls; }, policy);
        FAIL();
    } catch (const execute_error& e) {
        EXPECT_EQ(e.code(), errc::unavailable);
        ASSERT_EQ(e.attempts().size(), 3U);
        EXPECT_EQ(e.attempts()[0].refusal, pick_refusal::no_endpoints);
    }
    EXPECT_EQ(calls, 0);
}

TEST_F(executing, refuses_policies_out_of_range) {
    const auto refused = [&](const execute_policy& wrong) {
        EXPECT_THROW(execute(balancer, [](attempt&) {}, wrong), std::invalid_argument);
    };
    refused({.deadline = 0s});
    refused({.attempt_timeout = -1ns});
    refused({.max_attempts = 0});
    refused({.backoff = {.initial = 0s}});
}

}  // namespace
}  // namespace levee::route
