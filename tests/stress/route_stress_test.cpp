// Requests, probes and updates of the endpoints at the same time, on several threads.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/core/error.hpp"
#include "levee/route/execute.hpp"
#include "levee/route/health_checker.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

std::vector<endpoint> numbered(int first, int count) {
    std::vector<endpoint> made;
    for (int i = first; i < first + count; ++i) {
        made.push_back({.id = std::to_string(i)});
    }
    return made;
}

TEST(routing, goes_on_while_probes_and_updates_change_the_endpoints) {
    constexpr int rounds = 300;
    endpoint_set endpoints(numbered(0, 6));
    load_balancer balancer(endpoints);
    std::atomic<unsigned> turn{0};
    std::atomic<std::uint64_t> probes{0};
    runtime threads(3);
    const auto time = async::steady_scheduler(threads.get_executor());
    execute_policy policy{.deadline = 10s,
                          .attempt_timeout = 1ms,
                          .max_attempts = 4,
                          .is_idempotent = true,
                          .backoff = {.initial = 1us, .max = 10us},
                          .scheduler = time};
    // Some fail, some take as long as they may, and most answer.
    const auto work = [&](attempt& at) -> asio::awaitable<std::size_t> {
        const unsigned mine = turn.fetch_add(1);
        if (mine % 7 == 0) {
            throw std::system_error(std::make_error_code(std::errc::connection_reset));
        }
        if (mine % 11 == 0) {
            co_await time->sleep_until(at.deadline());
        }
        co_return at.endpoint().id.size();
    };
    const auto caller = [&]() -> asio::awaitable<int> {
        int ended = 0;
        for (int i = 0; i < rounds; ++i) {
            try {
                co_await async_execute(balancer, work, policy, asio::use_awaitable);
            } catch (const error&) {
            }
            ++ended;
        }
        co_return ended;
    };
    const auto probe = [&](endpoint) -> asio::awaitable<void> {
        if (probes.fetch_add(1) % 5 == 0) {
            throw std::runtime_error("not well");
        }
        co_return;
    };
    std::vector<std::future<int>> callers;
    {
        const health_checker checker(endpoints, probe,
                                     {.interval = 200us, .timeout = 100us, .rise = 1, .fall = 1}, time);
        for (int i = 0; i < 4; ++i) {
            callers.push_back(asio::co_spawn(threads.get_executor(), caller(), asio::use_future));
        }
        std::thread blocking([&] {
            const execute_policy own{.max_attempts = 4, .backoff = {.initial = 1us, .max = 10us}};
            for (int i = 0; i < rounds; ++i) {
                try {
                    execute(
                        balancer,
                        [&](attempt& at) {
                            if (turn.fetch_add(1) % 5 == 0) {
                                at.mark_unsent();
                                throw std::system_error(std::make_error_code(std::errc::connection_refused));
                            }
                        },
                        own);
                } catch (const error&) {
                }
            }
        });
        for (int i = 0; i < 100; ++i) {
            endpoints.update(numbered(i % 5, 6));
        }
        blocking.join();
        for (auto& each : callers) {
            EXPECT_EQ(each.get(), rounds);
        }
    }
    std::uint64_t in_flight = 0;
    for (const endpoint_status& each : balancer.status()) {
        in_flight += each.in_flight;
    }
    EXPECT_EQ(in_flight, 0U);
    EXPECT_EQ(balancer.draining(), 0U);
}

}  // namespace
}  // namespace levee::route
