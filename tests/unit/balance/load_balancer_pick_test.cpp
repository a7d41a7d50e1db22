// Who can be picked: health, tiers, zones, subsets, sessions, limits, slow start and recovery.
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/round_robin.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::count_picks;
using test::endpoints;
using test::load_balancer_test;
using test::pick_id;
using test::status_of;

TEST_F(load_balancer_test, never_picks_what_is_excluded) {
    endpoint_set set(endpoints(3));
    load_balancer balancer(set, options);
    std::vector<endpoint_key> tried;
    std::set<std::string> ids;
    pick_refusal why{};
    while (auto pick = balancer.pick({.exclude = tried}, why)) {
        tried.push_back(pick->key());
        EXPECT_TRUE(ids.insert(pick->endpoint().id).second);
        pick->complete(outcome::failed(1ms));
    }
    EXPECT_EQ(ids.size(), 3u);
    EXPECT_EQ(why, pick_refusal::excluded);
}

TEST_F(load_balancer_test, unhealthy_endpoints_get_nothing_until_they_are_healthy) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    set.set_health("e2", false);
    EXPECT_EQ(count_picks(balancer, 300),
              (std::map<std::string, int>{{"e0", 100}, {"e1", 100}, {"e3", 100}}));
    EXPECT_EQ(status_of(balancer, "e2").why_not, ineligibility::unhealthy);
    set.set_health("e2", true);
    EXPECT_EQ(count_picks(balancer, 400)["e2"], 100);
}

TEST_F(load_balancer_test, panics_below_the_threshold_and_not_at_it) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    set.set_health("e0", false);
    set.set_health("e1", false);
    EXPECT_EQ(count_picks(balancer, 100).size(), 2u) << "half of them is enough";
    set.set_health("e2", false);
    EXPECT_EQ(count_picks(balancer, 100).size(), 4u) << "the last one would be crushed";
}

TEST_F(load_balancer_test, without_panic_the_last_healthy_one_gets_all_and_then_none_does) {
    options.panic_threshold = 0;
    endpoint_set set(endpoints(2));
    load_balancer balancer(set, round_robin{}, options);
    set.set_health("e0", false);
    EXPECT_EQ(count_picks(balancer, 10)["e1"], 10);
    set.set_health("e1", false);
    pick_refusal why{};
    EXPECT_FALSE(balancer.pick({}, why));
    EXPECT_EQ(why, pick_refusal::unavailable);
}

TEST_F(load_balancer_test, draining_and_weight_zero_get_nothing_even_in_panic) {
    endpoint_set set({{.id = "zero", .weight = 0}, {.id = "drained"}, {.id = "ill"}});
    load_balancer balancer(set, round_robin{}, options);
    set.set_draining("drained", true);
    set.set_health("ill", false);
    EXPECT_EQ(count_picks(balancer, 10)["ill"], 10);
    EXPECT_EQ(status_of(balancer, "zero").why_not, ineligibility::drained);
    EXPECT_EQ(status_of(balancer, "drained").why_not, ineligibility::drained);
}

TEST_F(load_balancer_test, a_lower_tier_takes_only_what_the_upper_one_cannot_carry) {
    auto list = endpoints(20);
    for (std::size_t i = 10; i < 20; ++i) {
        list[i].priority = 1;
    }
    endpoint_set set(list);
    load_balancer balancer(set, round_robin{}, options);
    const auto lower_share = [&] {
        int lower = 0;
        for (int i = 0; i < 10'000; ++i) {
            lower += pick_id(balancer).size() == 3 ? 1 : 0;  // e10 … e19
        }
        return lower / 10'000.0;
    };
    EXPECT_EQ(lower_share(), 0.0);
    for (int i = 0; i < 2; ++i) {
        set.set_health("e" + std::to_string(i), false);
    }
    EXPECT_EQ(lower_share(), 0.0) << "8 of 10 with 40 % spare are enough";
    for (int i = 2; i < 5; ++i) {
        set.set_health("e" + std::to_string(i), false);
    }
    EXPECT_NEAR(lower_share(), 0.3, 0.02) << "5 of 10 carry 70 %";
    for (int i = 5; i < 10; ++i) {
        set.set_health("e" + std::to_string(i), false);
    }
    EXPECT_EQ(lower_share(), 1.0);
}

TEST_F(load_balancer_test, prefers_its_zone_as_far_as_it_can_carry_the_load) {
    options.zone = "a";
    auto list = endpoints(8);
    for (std::size_t i = 0; i < 8; ++i) {
        list[i].zone = i < 4 ? "a" : "b";
    }
    endpoint_set set(list);
    load_balancer balancer(set, round_robin{}, options);
    const auto share_of = [&](std::string_view zone, std::string_view where) {
        int inside = 0;
        for (int i = 0; i < 10'000; ++i) {
            auto pick = balancer.pick({.zone = zone});
            inside += pick->endpoint().zone == where ? 1 : 0;
        }
        return inside / 10'000.0;
    };
    EXPECT_EQ(share_of("", "a"), 1.0);
    EXPECT_EQ(share_of("b", "b"), 1.0) << "the pick's own zone goes first";
    set.set_health("e0", false);
    set.set_health("e1", false);
    // 2 of 4 carry 70 %; the rest goes to all six, of which two are in a.
    EXPECT_NEAR(share_of("", "a"), 0.7 + 0.3 / 3, 0.02);
}

TEST_F(load_balancer_test, clients_of_a_large_set_use_subsets_that_together_are_even) {
    endpoint_set set(endpoints(100));
    options.subset_size = 10;
    std::map<std::string, int> users;
    for (std::uint64_t client = 1; client <= 200; ++client) {
        options.subset_id = client;
        load_balancer balancer(set, round_robin{}, options);
        const auto counts = count_picks(balancer, 50);
        EXPECT_EQ(counts.size(), 10u);
        for (const auto& [id, count] : counts) {
            users[id] += 1;
        }
    }
    EXPECT_EQ(users.size(), 100u);
    for (const auto& [id, count] : users) {
        EXPECT_GE(count, 5) << id;
        EXPECT_LE(count, 40) << id;
    }
}

TEST_F(load_balancer_test, a_removed_endpoint_changes_one_place_of_the_subset) {
    endpoint_set set(endpoints(100));
    options.subset_size = 10;
    load_balancer balancer(set, round_robin{}, options);
    const auto before = count_picks(balancer, 100);
    set.remove(before.begin()->first);
    int kept = 0;
    for (const auto& [id, count] : count_picks(balancer, 100)) {
        kept += before.contains(id) ? 1 : 0;
    }
    EXPECT_EQ(kept, 9);
}

TEST_F(load_balancer_test, a_sticky_session_stays_while_its_endpoint_can_be_picked) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(pick_id(balancer, {.sticky = "e2"}), "e2");
    }
    const endpoint_key tried[] = {key_of("e2")};
    EXPECT_NE(pick_id(balancer, {.exclude = tried, .sticky = "e2"}), "e2");
    set.set_health("e2", false);
    EXPECT_NE(pick_id(balancer, {.sticky = "e2"}), "e2");
    EXPECT_NE(pick_id(balancer, {.sticky = "unknown"}), "");
}

TEST_F(load_balancer_test, holds_the_limit_of_requests_in_flight) {
    options.max_in_flight = 2;
    endpoint_set set(endpoints(3));
    load_balancer balancer(set, round_robin{}, options);
    std::vector<ticket> held;
    pick_refusal why{};
    while (auto pick = balancer.pick({}, why)) {
        held.push_back(std::move(*pick));
        ASSERT_LE(held.size(), 6u);
    }
    EXPECT_EQ(held.size(), 6u);
    EXPECT_EQ(why, pick_refusal::busy);
    for (const auto& one : balancer.status()) {
        EXPECT_EQ(one.in_flight, 2u);
    }
    held.pop_back();
    EXPECT_TRUE(balancer.pick());
}

TEST_F(load_balancer_test, an_adaptive_limit_falls_when_answers_get_slow) {
    options.adaptive_limit = adaptive_limit_options{};
    endpoint_set set(endpoints(1));
    load_balancer balancer(set, round_robin{}, options);
    const auto answer_all_after = [&](duration latency) {
        std::vector<ticket> held;
        while (auto pick = balancer.pick()) {
            held.push_back(std::move(*pick));
        }
        for (ticket& one : held) {
            one.complete(outcome::ok(latency));
        }
        return held.size();
    };
    for (int i = 0; i < 30; ++i) {
        answer_all_after(1ms);
    }
    const std::size_t before = answer_all_after(1ms);
    EXPECT_GT(before, 20u);
    for (int i = 0; i < 30; ++i) {
        answer_all_after(20ms);
    }
    EXPECT_LT(answer_all_after(20ms), before / 2);
}

// ---- slow start and recovery (B3, B8) -------------------------------------------------------------------

TEST_F(load_balancer_test, b3_a_new_endpoint_starts_with_little_and_gets_its_share_in_the_end) {
    options.slow_start = 10s;
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    EXPECT_EQ(count_picks(balancer, 400)["e0"], 100) << "those of the beginning start in full";
    set.add({.id = "new"});
    EXPECT_NEAR(count_picks(balancer, 5'000)["new"], 100, 40);
    clock.advance(5s);
    EXPECT_NEAR(count_picks(balancer, 5'000)["new"], 500, 80);
    clock.advance(5s);
    EXPECT_EQ(count_picks(balancer, 5'000)["new"], 1'000);
}

TEST_F(load_balancer_test, b8_after_an_outage_of_all_the_first_one_up_is_not_crushed) {
    options.panic_threshold = 0;
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, options);
    for (int i = 0; i < 10; ++i) {
        set.set_health("e" + std::to_string(i), false);
    }
    EXPECT_EQ(pick_id(balancer), "");
    set.set_health("e3", true);
    const auto let_through = [&] { return count_picks(balancer, 10'000)["e3"]; };
    EXPECT_NEAR(let_through(), 1'000, 150);
    pick_refusal why{};
    for (int i = 0; i < 1'000 && balancer.pick({}, why); ++i) {
    }
    EXPECT_EQ(why, pick_refusal::recovering);
    clock.advance(5s);
    EXPECT_NEAR(let_through(), 5'000, 300);
    clock.advance(5s);
    EXPECT_EQ(let_through(), 10'000);
}

TEST_F(load_balancer_test, b8_in_panic_the_first_one_up_gets_no_more_than_its_share) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 10; ++i) {
        set.set_health("e" + std::to_string(i), false);
    }
    set.set_health("e3", true);
    EXPECT_EQ(count_picks(balancer, 1'000)["e3"], 100);
}

TEST_F(load_balancer_test, b8_half_open_circuits_admit_one_request_each) {
    options.outlier.reset();
    options.breaker = circuit_breaker_options{.failures_to_open = 2};
    endpoint_set set(endpoints(3));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 1'000 && !pick_id(balancer, {}, outcome::failed(1ms)).empty(); ++i) {
    }
    EXPECT_EQ(status_of(balancer, "e0").why_not, ineligibility::circuit_open);
    pick_refusal why{};
    EXPECT_FALSE(balancer.pick({}, why)) << "open circuits hold in panic too";
    EXPECT_EQ(why, pick_refusal::unavailable);
    clock.advance(5s);
    std::vector<ticket> probes;
    for (int i = 0; i < 1'000; ++i) {  // some are held back: everybody was down
        if (auto pick = balancer.pick()) {
            probes.push_back(std::move(*pick));
        }
    }
    EXPECT_EQ(probes.size(), 3u);
    for (ticket& one : probes) {
        one.complete(outcome::ok(1ms));
    }
    clock.advance(10s);
    EXPECT_EQ(count_picks(balancer, 300)["e0"], 100);
}

}  // namespace
