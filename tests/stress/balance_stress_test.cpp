// Picks, completions and updates from every side: nothing is lost, counted twice or picked after it has gone.
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/make_strategy.hpp"
#include "levee/balance/round_robin.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace levee;

std::vector<endpoint> endpoints(std::uint64_t first, std::uint64_t count) {
    std::vector<endpoint> made;
    for (std::uint64_t i = first; i < first + count; ++i) {
        made.push_back({.id = "e" + std::to_string(i), .weight = static_cast<double>(i % 4 + 1)});
    }
    return made;
}

outcome drawn(xoshiro256& random) {
    switch (uniform_below(random, 12)) {
        case 0:
            return outcome::failed(100us);
        case 1:
            return outcome::timed_out(10ms);
        case 2:
            return outcome::overloaded(1ms);
        case 3:
            return outcome::cancelled();
        default:
            return outcome::ok(1ms);
    }
}

// Outages of all, from which ejections are lifted by whoever sees the first success.
TEST(balance_outages, end_for_all_threads) {
    endpoint_set set(endpoints(0, 8));
    load_balancer balancer(set, make_strategy("round_robin"),
                           {.panic_threshold = 0.0, .outlier = outlier_options{.consecutive_failures = 2}});
    for (int round = 0; round < 20; ++round) {
        // Some fail before the others do, so that there is something to lift.
        for (const int failing : {3, 8, 0}) {
            std::vector<std::thread> threads;
            for (int t = 0; t < 3; ++t) {
                threads.emplace_back([&] {
                    for (int i = 0; i < 200; ++i) {
                        if (auto pick = balancer.pick()) {
                            const bool fails = pick->endpoint().id[1] - '0' < failing;
                            pick->complete(fails ? outcome::failed(1ms) : outcome::ok(1ms));
                        }
                    }
                });
            }
            for (auto& thread : threads) {
                thread.join();
            }
        }
        for (const auto& one : balancer.status()) {
            EXPECT_EQ(one.why_not, ineligibility::none) << one.id << ' ' << round;
            EXPECT_EQ(one.in_flight, 0u) << one.id;
        }
    }
    std::uint64_t ejections = 0;
    for (const auto& one : balancer.status()) {
        ejections += one.ejections;
    }
    EXPECT_GT(ejections, 0u);
}

class balance_stress : public testing::TestWithParam<const char*> {};

TEST_P(balance_stress, picks_and_completes_while_the_set_changes_underneath) {
    endpoint_set set(endpoints(0, 8));
    std::optional<load_balancer> balancer(
        std::in_place, set, make_strategy(GetParam()),
        load_balancer_options{.outlier = outlier_options{.base_ejection = 1ms, .max_ejection = 5ms},
                              .breaker = circuit_breaker_options{.failures_to_open = 8, .open_for = 1ms},
                              .max_in_flight = 20,
                              .slow_start = 1ms,
                              .recovery_ramp = 1ms,
                              .explain_picks = 2});
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> picked{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            xoshiro256 random(t + 1);
            std::vector<ticket> held;
            for (int i = 0; i < 3'000; ++i) {
                std::vector<endpoint_key> tried;
                if (!held.empty()) {
                    tried.push_back(held.back().key());
                }
                const auto located = balancer->locate({.hash = random(), .exclude = tried});
                EXPECT_TRUE(!located || tried.empty() || *located != tried.front());
                if (auto pick = balancer->pick({.hash = random(), .exclude = tried})) {
                    picked.fetch_add(1, std::memory_order_relaxed);
                    EXPECT_EQ(pick->key(), key_of(pick->endpoint().id));
                    held.push_back(std::move(*pick));
                }
                while (held.size() > uniform_below(random, 6)) {
                    std::swap(held.front(), held.back());
                    if (uniform_below(random, 10) != 0) {
                        held.back().complete(drawn(random));
                    }
                    held.pop_back();
                }
            }
        });
    }
    std::thread updater([&] {
        xoshiro256 random(99);
        for (std::uint64_t i = 0; !is_over; ++i) {
            set.update(endpoints(uniform_below(random, 8), 1 + uniform_below(random, 8)));
            set.set_health("e" + std::to_string(uniform_below(random, 12)), i % 2 == 0);
            static_cast<void>(balancer->status());
            static_cast<void>(balancer->explain());
        }
    });
    for (auto& thread : threads) {
        thread.join();
    }
    is_over = true;
    updater.join();
    EXPECT_GT(picked.load(), 1'000u);
    for (const auto& one : balancer->status()) {
        EXPECT_EQ(one.in_flight, 0u) << one.id;
    }
    set.update({});
    while (balancer->draining() > 0) {  // readers that have not unpinned yet may hold an old snapshot
    }
}

INSTANTIATE_TEST_SUITE_P(each, balance_stress,
                         testing::Values("least_response_time", "weighted_round_robin", "power_of_two",
                                         "maglev:table_size=251,bounded_load=1.5", "ring_hash:points=10"),
                         [](const auto& of) {
                             const std::string name = of.param;
                             return name.substr(0, name.find(':'));
                         });

TEST(balancer_life, tickets_of_other_threads_outlive_the_balancer) {
    std::uint64_t freed = 0;
    struct counted final : strategy {
        explicit counted(std::uint64_t& count) : live(&count) {}
        std::string name() const override { return "counted"; }
        const candidate* pick(pick_view& view) const override { return &view[0]; }
        std::shared_ptr<std::uint64_t> owner{};
        std::uint64_t* live;
    };
    for (int round = 0; round < 300; ++round) {
        auto token = std::make_shared<std::uint64_t>(0);
        const std::weak_ptr<std::uint64_t> watched = token;
        std::vector<std::vector<ticket>> held(3);
        std::barrier step(4);
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < held.size(); ++t) {
            threads.emplace_back([&, t] {
                step.arrive_and_wait();
                for (ticket& one : held[t]) {
                    one.complete(t == 0 ? outcome::failed(1ms) : outcome::ok(1ms));
                }
            });
        }
        {
            endpoint_set set(endpoints(0, 4));
            auto how = std::make_unique<counted>(freed);
            how->owner = std::move(token);
            load_balancer balancer(set, std::unique_ptr<const strategy>(std::move(how)));
            for (int i = 0; i < 9; ++i) {
                held[static_cast<std::size_t>(i) % 3].push_back(std::move(*balancer.pick()));
            }
            step.arrive_and_wait();
        }  // the balancer goes while they complete
        for (auto& thread : threads) {
            thread.join();
        }
        EXPECT_TRUE(watched.expired()) << "the last of them freed everything";
    }
}

/// Round robin that can be made to wait in the middle of a new snapshot.
struct waits_to_prepare final : strategy {
    enum step { runs, shall_wait, waits };
    explicit waits_to_prepare(std::atomic<step>& where) : at(&where) {}
    std::string name() const override { return "waits_to_prepare"; }
    plan_scope scope() const noexcept override { return plan_scope::eligible; }
    std::shared_ptr<const strategy_plan> prepare(std::span<const candidate>) const override {
        if (step expected = shall_wait; at->compare_exchange_strong(expected, waits)) {
            while (*at == waits) {
                std::this_thread::yield();
            }
        }
        return nullptr;
    }
    const candidate* pick(pick_view& view) const override {
        return &view[view.turn(static_cast<std::uint32_t>(view.size()))];
    }
    std::atomic<step>* at;
};

TEST(balancer_life, completions_may_build_while_the_balancer_goes) {
    for (int round = 0; round < 200; ++round) {
        std::vector<ticket> held;
        std::atomic<waits_to_prepare::step> at{waits_to_prepare::runs};
        endpoint_set set(endpoints(0, 12));
        auto balancer = std::make_unique<load_balancer>(
            set, waits_to_prepare(at),
            load_balancer_options{.outlier =
                                      outlier_options{.consecutive_failures = 1, .max_ejected_share = 0.9}});
        for (int i = 0; i < 24; ++i) {
            held.push_back(std::move(*balancer->pick()));
        }
        set.update(endpoints(6, 12));  // what was removed is let go by whoever builds after its last request
        at = waits_to_prepare::shall_wait;
        std::thread completing([&] {
            // The failure comes last, so that its snapshot finds removed endpoints without requests.
            std::partition(held.begin(), held.end(), [](const ticket& t) { return t.endpoint().id != "e8"; });
            for (ticket& one : held) {
                one.complete(one.endpoint().id != "e8" ? outcome::ok(1ms) : outcome::failed(1ms));
            }
        });
        while (at != waits_to_prepare::waits) {
            std::this_thread::yield();
        }
        at = waits_to_prepare::runs;
        balancer.reset();
        completing.join();
    }
}

TEST(balancer_life, an_update_may_end_after_the_balancer) {
    for (int round = 0; round < 200; ++round) {
        endpoint_set set(endpoints(0, 4));
        auto balancer = std::make_unique<load_balancer>(set, round_robin{});
        std::barrier step(2);
        std::thread updater([&] {
            step.arrive_and_wait();
            set.update(endpoints(2, 4));
        });
        auto pick = balancer->pick();
        step.arrive_and_wait();
        balancer.reset();
        updater.join();
        EXPECT_TRUE(pick->complete(outcome::ok(1ms)));
    }
}

TEST(balancer_limits, hold_with_many_threads) {
    endpoint_set set(endpoints(0, 2));
    load_balancer balancer(set, round_robin{}, {.max_in_flight = 3});
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            std::vector<ticket> held;
            for (int i = 0; i < 3'000; ++i) {
                if (auto pick = balancer.pick()) {
                    held.push_back(std::move(*pick));
                    const int now = inside.fetch_add(1) + 1;
                    int seen = most.load();
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                }
                if (held.size() > 2) {
                    inside.fetch_sub(static_cast<int>(held.size()));
                    held.clear();
                }
            }
            inside.fetch_sub(static_cast<int>(held.size()));
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_LE(most.load(), 6);
    EXPECT_GE(most.load(), 3);
}

TEST(balancer_circuits, b8_half_open_admits_exactly_its_number_to_threads_that_pick_at_once) {
    class stepped final : public levee::clock {
    public:
        [[nodiscard]] time_point now() const noexcept override { return time_point(1h + 10s * steps.load()); }
        std::atomic<int> steps{0};
    } clock;
    endpoint_set set(endpoints(0, 1));
    load_balancer balancer(set, round_robin{},
                           {.panic_threshold = 0,
                            .breaker = circuit_breaker_options{.failures_to_open = 1, .half_open_calls = 2},
                            .recovery_ramp = 0s,
                            .clock = &clock});
    constexpr int rounds = 200;
    std::atomic<int> admitted{0};
    std::vector<int> admitted_in(rounds, 0);
    std::barrier step(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int round = 0; round < rounds; ++round) {
                if (t == 0) {
                    if (auto pick = balancer.pick()) {
                        pick->complete(outcome::failed(1ms));
                    }
                    clock.steps += 1;
                    admitted = 0;
                }
                step.arrive_and_wait();
                auto pick = balancer.pick();
                admitted += pick ? 1 : 0;
                step.arrive_and_wait();
                if (t == 0) {
                    admitted_in[static_cast<std::size_t>(round)] = admitted;
                }
                if (pick) {
                    pick->complete(outcome::failed(1ms));
                }
                step.arrive_and_wait();
                if (t == 0) {
                    clock.steps += 1;  // the circuit was opened again by the first failure
                }
                step.arrive_and_wait();
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_LE(*std::max_element(admitted_in.begin(), admitted_in.end()), 2);
    EXPECT_GE(std::count(admitted_in.begin(), admitted_in.end(), 2), rounds / 2);
}

}  // namespace
