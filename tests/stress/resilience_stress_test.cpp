// B8: half-open admits exactly its number, however many threads ask at once.
#include "levee/core/random.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::circuit_breaker;
using levee::circuit_state;
using levee::time_point;

constexpr int thread_count = 4;

TEST(circuit_breaker_stress, half_open_admits_exactly_its_number_to_threads_that_ask_at_once) {
    constexpr int rounds = 2'000;
    for (const std::uint32_t places : {1u, 2u, 3u}) {
        circuit_breaker breaker(
            {.failures_to_open = 1, .half_open_calls = places, .successes_to_close = places});
        time_point now{1h};  // written between barriers, by one thread
        std::atomic<std::uint32_t> admitted{0};
        std::atomic<int> opened_half{0};
        std::uint64_t wrong = 0;
        std::barrier step(thread_count);
        std::vector<std::thread> threads;
        for (int t = 0; t < thread_count; ++t) {
            threads.emplace_back([&, t] {
                for (int round = 0; round < rounds; ++round) {
                    if (t == 0) {
                        breaker.try_acquire(now).record_failure(now);
                        now += 5s;
                        admitted = 0;
                        opened_half = 0;
                    }
                    step.arrive_and_wait();
                    auto permit = breaker.try_acquire(now);
                    admitted += permit ? 1 : 0;
                    opened_half += permit.transition() ? 1 : 0;
                    step.arrive_and_wait();  // all places are held by now
                    if (t == 0 && (admitted != places || opened_half != 1)) {
                        wrong += 1;
                    }
                    if (round % 3 == 0) {
                        permit.cancel();
                        step.arrive_and_wait();
                        if (t == 0) {
                            breaker.reset();
                        }
                    } else {
                        permit.record_success(now);
                        step.arrive_and_wait();
                        if (t == 0 && breaker.state(now) != circuit_state::closed) {
                            wrong += 1;  // the places' successes are just enough
                        }
                    }
                    step.arrive_and_wait();
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        EXPECT_EQ(wrong, 0u) << places << " places";
    }
}

TEST(circuit_breaker_stress, exactly_one_thread_learns_of_each_opening) {
    constexpr int rounds = 2'000;
    circuit_breaker breaker({.failures_to_open = thread_count});
    const time_point now{1h};
    std::atomic<int> told{0};
    std::uint64_t wrong = 0;
    std::barrier step(thread_count);
    std::vector<std::thread> threads;
    for (int t = 0; t < thread_count; ++t) {
        threads.emplace_back([&, t] {
            for (int round = 0; round < rounds; ++round) {
                auto permit = breaker.try_acquire(now);
                step.arrive_and_wait();
                told += permit.record_failure(now) ? 1 : 0;
                step.arrive_and_wait();
                if (t == 0) {
                    wrong += told == 1 && breaker.state(now) == circuit_state::open ? 0u : 1u;
                    told = 0;
                    breaker.reset();
                }
                step.arrive_and_wait();
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(breaker.stats().opened, std::uint64_t{rounds});
    EXPECT_EQ(breaker.stats().failures, std::uint64_t{rounds} * thread_count);
}

TEST(circuit_breaker_stress, is_never_wedged_by_calls_of_every_kind_from_every_side) {
    circuit_breaker breaker({.failures_to_open = 3,
                             .failure_rate = 0.5,
                             .window = 1s,
                             .minimum_calls = 10,
                             .open_for = 50ms,
                             .half_open_calls = 2,
                             .successes_to_close = 3});
    std::atomic<std::int64_t> elapsed{0};
    std::atomic<std::uint64_t> admitted{0}, refused{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < thread_count; ++t) {
        threads.emplace_back([&, t] {
            levee::xoshiro256 random(static_cast<std::uint64_t>(t) + 1);
            std::vector<circuit_breaker::permit> held;
            for (int i = 0; i < 20'000; ++i) {
                const time_point now{1h + 1ms * elapsed.fetch_add(1)};
                if (auto permit = breaker.try_acquire(now)) {
                    admitted += 1;
                    held.push_back(std::move(permit));
                } else {
                    refused += 1;
                }
                if (held.size() > levee::uniform_below(random, 5)) {
                    const auto at = levee::uniform_below(random, held.size());
                    std::swap(held[at], held.back());
                    switch (levee::uniform_below(random, 4)) {
                        case 0:
                            held.back().record_failure(now);
                            break;
                        case 1:
                            break;  // dropped
                        default:
                            held.back().record_success(now);
                    }
                    held.pop_back();
                }
                static_cast<void>(breaker.state(now));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(breaker.stats().refused, refused.load());
    EXPECT_GT(breaker.stats().opened, 100u);
    EXPECT_GT(admitted.load(), 1'000u);
    // With nothing under way it closes as it should.
    time_point now{2h};
    for (int i = 0; i < 3; ++i) {
        auto permit = breaker.try_acquire(now);
        EXPECT_TRUE(permit);
        permit.record_success(now);
    }
    EXPECT_EQ(breaker.state(now), circuit_state::closed);
}

}  // namespace
