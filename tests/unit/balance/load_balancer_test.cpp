#include "levee/balance/load_balancer.hpp"

#include "levee/balance/least_connections.hpp"
#include "levee/balance/power_of_two.hpp"
#include "levee/balance/round_robin.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::count_picks;
using test::endpoints;
using test::load_balancer_test;
using test::pick_id;
using test::status_of;

// ---- B10: sizes -----------------------------------------------------------------------------------------

TEST_F(load_balancer_test, says_that_there_are_no_endpoints) {
    endpoint_set set;
    load_balancer balancer(set, options);
    pick_refusal why{};
    EXPECT_FALSE(balancer.pick({}, why));
    EXPECT_EQ(why, pick_refusal::no_endpoints);
    set.add({.id = "late"});
    EXPECT_EQ(pick_id(balancer), "late");
}

TEST_F(load_balancer_test, picks_the_only_endpoint_whatever_happened_to_it) {
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, options);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(pick_id(balancer, {}, outcome::failed(100us)), "e0");
    }
    EXPECT_EQ(status_of(balancer, "e0").failures, 100u);
    EXPECT_EQ(status_of(balancer, "e0").ejections, 0u);
}

TEST_F(load_balancer_test, every_strategy_works_with_any_number_of_endpoints) {
    for (const int count : {1, 2, 3, 9, 500}) {
        endpoint_set set(endpoints(count));
        load_balancer balancer(set, options);
        std::set<std::string> seen;
        for (int i = 0; i < count * 40; ++i) {
            seen.insert(pick_id(balancer));
        }
        EXPECT_GE(seen.size(), static_cast<std::size_t>(count) * 9 / 10);
        EXPECT_FALSE(seen.contains(""));
    }
}

// ---- B5: every pick is completed exactly once (G8) ------------------------------------------------------

TEST_F(load_balancer_test, g8_counts_in_flight_until_the_first_completion) {
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, options);
    auto first = balancer.pick();
    auto second = balancer.pick();
    EXPECT_EQ(status_of(balancer, "e0").in_flight, 2u);
    EXPECT_TRUE(first->complete(outcome::ok(1ms)));
    EXPECT_FALSE(first->complete(outcome::ok(1ms)));
    EXPECT_FALSE(*first);
    EXPECT_EQ(status_of(balancer, "e0").in_flight, 1u);
    second.reset();
    EXPECT_EQ(status_of(balancer, "e0").in_flight, 0u);
    EXPECT_EQ(status_of(balancer, "e0").cancelled, 1u);
    EXPECT_EQ(status_of(balancer, "e0").picks, 2u);
}

TEST_F(load_balancer_test, g8_a_moved_ticket_completes_once_and_a_replaced_one_is_cancelled) {
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, round_robin{}, options);
    auto first = balancer.pick();
    ticket moved = std::move(*first);
    first.reset();
    EXPECT_TRUE(moved);
    moved = std::move(*balancer.pick());
    std::uint64_t in_flight = 0, cancelled = 0;
    for (const auto& one : balancer.status()) {
        in_flight += one.in_flight;
        cancelled += one.cancelled;
    }
    EXPECT_EQ(in_flight, 1u);
    EXPECT_EQ(cancelled, 1u);
}

TEST_F(load_balancer_test, g8_an_exception_cancels) {
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, options);
    try {
        auto pick = balancer.pick();
        throw std::runtime_error("the call failed");
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(status_of(balancer, "e0").in_flight, 0u);
    EXPECT_EQ(status_of(balancer, "e0").cancelled, 1u);
}

TEST_F(load_balancer_test, g8_every_kind_of_outcome_ends_the_request) {
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, options);
    for (const outcome& how : {outcome::ok(), outcome::failed(), outcome::timed_out(), outcome::overloaded(),
                               outcome::cancelled()}) {
        balancer.pick()->complete(how);
    }
    const auto status = status_of(balancer, "e0");
    EXPECT_EQ(status.in_flight, 0u);
    EXPECT_EQ(status.failures, 2u);
    EXPECT_EQ(status.cancelled, 1u);
}

TEST_F(load_balancer_test, a_ticket_outlives_the_removal_of_its_endpoint) {
    for (const bool counts : {false, true}) {
        endpoint_set set(endpoints(2));
        auto balancer = counts ? load_balancer(set, least_connections{}, options)
                               : load_balancer(set, round_robin{}, options);
        auto pick = balancer.pick();
        const std::string id = pick->endpoint().id;
        set.remove(id);
        EXPECT_EQ(balancer.draining(), 1u);
        EXPECT_EQ(pick->endpoint().id, id);
        for (int i = 0; i < 10; ++i) {
            EXPECT_NE(pick_id(balancer), id);
        }
        pick->complete(outcome::failed(1ms));
        EXPECT_EQ(balancer.draining(), 0u);
    }
}

TEST_F(load_balancer_test, tickets_outlive_the_balancer_and_the_set) {
    std::vector<ticket> tickets;
    {
        endpoint_set set(endpoints(3));
        load_balancer balancer(set, options);
        for (int i = 0; i < 10; ++i) {
            tickets.push_back(std::move(*balancer.pick()));
        }
        set.remove("e1");
    }
    for (ticket& one : tickets) {
        EXPECT_EQ(one.endpoint().host, "10.0.0.1");
        EXPECT_TRUE(one.complete(outcome::failed(1ms)));
    }
}

TEST_F(load_balancer_test, an_index_used_again_starts_from_zero) {
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 5; ++i) {
        pick_id(balancer, {}, outcome::failed(1ms));
    }
    set.update({{.id = "other"}});
    static_cast<void>(balancer.draining());
    set.update({{.id = "third"}});
    for (const auto& one : balancer.status()) {
        EXPECT_EQ(one.picks, 0u) << one.id;
        EXPECT_EQ(one.failures, 0u);
    }
}

TEST_F(load_balancer_test, measurements_survive_an_update_by_id) {
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, options);
    count_picks(balancer, 100);
    auto held = balancer.pick();
    const std::string id = held->endpoint().id;
    const auto before = status_of(balancer, id);
    auto changed = endpoints(2);
    std::swap(changed[0], changed[1]);
    for (auto& one : changed) {
        one.host = "10.9.9.9";
        one.weight = 2;
    }
    const auto changes = set.update(changed);
    EXPECT_EQ(changes.changed, 2u);
    const auto after = status_of(balancer, id);
    EXPECT_EQ(after.picks, before.picks);
    EXPECT_EQ(after.latency, before.latency);
    EXPECT_EQ(after.in_flight, 1u) << "the old data's tickets still count";
    EXPECT_EQ(held->endpoint().host, "10.0.0.1") << "as it was when it was picked";
    EXPECT_EQ(balancer.pick()->endpoint().host, "10.9.9.9");
}

// ---- what follows ---------------------------------------------------------------------------------------

TEST_F(load_balancer_test, records_percentiles_by_endpoint) {
    percentile_monitor monitor;
    options.monitor = &monitor;
    options.name = "db";
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, round_robin{}, options);
    pick_id(balancer, {}, outcome::ok(5ms));
    pick_id(balancer, {}, outcome::failed(7ms));
    auto pick = balancer.pick();
    clock.advance(9ms);
    pick->complete(outcome::ok());  // measured by the balancer's clock
    const auto stats = monitor.stats("db:e0");
    EXPECT_EQ(stats.count, 2u);
    EXPECT_EQ(stats.max, 9ms);
    EXPECT_EQ(stats.failures, 1u);
}

TEST_F(load_balancer_test, first_attempts_fill_the_retry_budget) {
    options.retry_budget =
        std::make_shared<retry_budget>(retry_budget_options{.share = 0.5, .minimum_a_second = 0});
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 10; ++i) {
        pick_id(balancer);
        pick_id(balancer, {.attempt = 1});
    }
    EXPECT_NEAR(options.retry_budget->available(clock.now()), 5.0, 1e-9);
}

TEST_F(load_balancer_test, explains_its_last_picks) {
    options.explain_picks = 2;
    endpoint_set set(endpoints(3));
    load_balancer balancer(set, options);
    set.set_health("e1", false);
    const endpoint_key tried[] = {key_of("e0")};
    pick_id(balancer);
    pick_id(balancer, {.hash = 7, .exclude = tried});
    pick_id(balancer, {.exclude = tried});
    const auto picks = balancer.explain();
    ASSERT_EQ(picks.size(), 2u) << "only the last ones";
    EXPECT_EQ(picks[0].hash, std::uint64_t{7});
    EXPECT_EQ(picks[0].picked, "e2");
    ASSERT_EQ(picks[0].candidates.size(), 3u);
    EXPECT_EQ(picks[0].candidates[0].why_not, ineligibility::excluded);
    EXPECT_EQ(picks[0].candidates[1].why_not, ineligibility::unhealthy);
    EXPECT_EQ(picks[0].candidates[2].why_not, ineligibility::none);
    EXPECT_GT(picks[1].candidates[2].score, 0.0);
    EXPECT_NE(to_string(picks[0]).find("* e2"), std::string::npos);
    EXPECT_NE(to_string(picks[0]).find("unhealthy"), std::string::npos);
}

// ---- a user's strategy ----------------------------------------------------------------------------------

struct always_first final : strategy {
    std::string name() const override { return "always_first"; }
    const candidate* pick(pick_view& view) const override { return &view[0]; }
};

TEST_F(load_balancer_test, a_users_strategy_is_one_class_and_may_be_careless) {
    endpoint_set set(endpoints(3));
    load_balancer balancer(set, always_first{}, options);
    EXPECT_EQ(pick_id(balancer), "e0");
    const endpoint_key tried[] = {key_of("e0")};
    EXPECT_EQ(pick_id(balancer, {.exclude = tried}), "e1");
}

struct prepare_throws final : strategy {
    explicit prepare_throws(const bool& does) : does_throw(&does) {}
    std::string name() const override { return "prepare_throws"; }
    plan_scope scope() const noexcept override { return plan_scope::members; }
    std::shared_ptr<const strategy_plan> prepare(std::span<const candidate>) const override {
        if (*does_throw) {
            throw std::runtime_error("not now");
        }
        return nullptr;
    }
    const candidate* pick(pick_view& view) const override { return &view[view.size() - 1]; }
    const bool* does_throw;
};

TEST_F(load_balancer_test, an_update_that_a_strategy_refuses_throws_and_picks_go_on) {
    bool does_throw = false;
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, prepare_throws{does_throw}, options);
    does_throw = true;
    EXPECT_THROW(set.add({.id = "third"}), std::runtime_error);
    EXPECT_EQ(pick_id(balancer), "e1");
    does_throw = false;
    set.add({.id = "fourth"});
    EXPECT_EQ(pick_id(balancer), "fourth");
}

TEST_F(load_balancer_test, an_update_that_one_balancer_refuses_reaches_the_others) {
    bool does_throw = false;
    endpoint_set set(endpoints(2));
    load_balancer refusing(set, prepare_throws{does_throw}, options);
    load_balancer following(set, always_first{}, options);
    does_throw = true;
    EXPECT_THROW(set.remove("e0"), std::runtime_error);
    EXPECT_EQ(pick_id(following), "e1");
}

/// While it prepares, another thread changes the set; then it throws.
struct prepare_is_overtaken final : strategy {
    explicit prepare_is_overtaken(std::function<void()>& by) : overtaking(&by) {}
    std::string name() const override { return "prepare_is_overtaken"; }
    plan_scope scope() const noexcept override { return plan_scope::members; }
    std::shared_ptr<const strategy_plan> prepare(std::span<const candidate>) const override {
        if (const auto overtake = std::exchange(*overtaking, nullptr)) {
            std::thread(overtake).join();
            throw std::runtime_error("not now");
        }
        return nullptr;
    }
    const candidate* pick(pick_view& view) const override { return &view[view.size() - 1]; }
    std::function<void()>* overtaking;
};

TEST_F(load_balancer_test, an_update_counts_that_came_while_another_was_refused) {
    std::function<void()> overtake;
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, prepare_is_overtaken{overtake}, options);
    overtake = [&] { set.add({.id = "fourth"}); };
    set.add({.id = "third"});  // refused, and made up for with the next
    EXPECT_EQ(pick_id(balancer), "fourth");
}

struct throws_with_a_reservation final : strategy {
    std::string name() const override { return "throws_with_a_reservation"; }
    strategy_needs needs() const noexcept override { return {.in_flight = true, .total_in_flight = true}; }
    const candidate* pick(pick_view& view) const override {
        if (view.try_reserve(view[0], 10)) {
            throw std::runtime_error("not now");
        }
        return nullptr;
    }
};

TEST_F(load_balancer_test, b5_a_strategy_that_throws_leaves_nothing_counted) {
    endpoint_set set(endpoints(2));
    for (const std::uint32_t limit : {0U, 5U}) {  // quick picks and careful ones
        options.max_in_flight = limit;
        load_balancer balancer(set, throws_with_a_reservation{}, options);
        for (int i = 0; i < 20; ++i) {
            EXPECT_THROW(static_cast<void>(balancer.pick()), std::runtime_error) << "not at its bound";
        }
    }
}

TEST_F(load_balancer_test, same_seed_same_picks) {
    endpoint_set set(endpoints(20));
    const auto sequence = [&](std::uint64_t seed) {
        options.seed = seed;
        load_balancer balancer(set, power_of_two{}, options);
        std::string ids;
        for (int i = 0; i < 50; ++i) {
            ids += pick_id(balancer);
        }
        return ids;
    };
    EXPECT_EQ(sequence(5), sequence(5));
    EXPECT_NE(sequence(5), sequence(6));
}

TEST_F(load_balancer_test, refuses_wrong_options) {
    endpoint_set set;
    const auto make = [&](auto&& change) {
        load_balancer_options wrong;
        change(wrong);
        load_balancer balancer(set, wrong);
    };
    EXPECT_THROW(make([](auto& o) { o.panic_threshold = 1.5; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.panic_threshold = std::nan(""); }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.slow_start = -1s; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.slow_start_floor = 0; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.recovery_ramp = -1s; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.overprovision = 0.5; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.outlier->interval = 0s; }), std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.adaptive_limit = adaptive_limit_options{.minimum = 0}; }),
                 std::invalid_argument);
    EXPECT_THROW(make([](auto& o) { o.breaker = circuit_breaker_options{.open_for = 0s}; }),
                 std::invalid_argument);
    EXPECT_THROW(load_balancer(set, std::unique_ptr<const strategy>{}), std::invalid_argument);
    try {
        make([](auto& o) { o.panic_threshold = 1.5; });
    } catch (const std::invalid_argument& refused) {
        EXPECT_STREQ(refused.what(), "load_balancer_options::panic_threshold is 1.5; it must be in [0, 1]");
    }
}

}  // namespace
