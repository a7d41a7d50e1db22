// B4: round robin and weighted round robin.
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/random_choice.hpp"
#include "levee/balance/round_robin.hpp"
#include "levee/balance/weighted_round_robin.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::count_picks;
using test::endpoints;
using test::pick_id;

struct rotation : testing::Test {
    test::manual_clock_stub clock;
    load_balancer_options options{.seed = 1, .clock = &clock};

    static std::vector<endpoint> weighted(const std::vector<double>& weights) {
        auto list = endpoints(static_cast<int>(weights.size()));
        for (std::size_t i = 0; i < weights.size(); ++i) {
            list[i].weight = weights[i];
        }
        return list;
    }
};

TEST_F(rotation, equal_weights_are_strict_round_robin) {
    for (const double weight : {1.0, 0.1, 7.0}) {
        endpoint_set set(weighted({weight, weight, weight}));
        load_balancer plain(set, round_robin{}, options);
        load_balancer weights(set, weighted_round_robin{}, options);
        for (load_balancer* const balancer : {&plain, &weights}) {
            std::vector<std::string> seen;
            for (int i = 0; i < 30; ++i) {
                seen.push_back(pick_id(*balancer));
            }
            for (std::size_t i = 3; i < seen.size(); ++i) {
                EXPECT_EQ(seen[i], seen[i - 3]);
                EXPECT_NE(seen[i], seen[i - 1]);
                EXPECT_NE(seen[i], seen[i - 2]);
            }
        }
    }
}

TEST_F(rotation, many_clients_do_not_start_in_step) {
    endpoint_set set(endpoints(10));
    endpoint_set heavy(weighted({1, 2, 3, 4, 5, 1, 2, 3, 4, 5}));
    std::map<std::string, int> first, first_weighted;
    for (int client = 0; client < 1'000; ++client) {
        load_balancer balancer(set, round_robin{});
        first[pick_id(balancer)] += 1;
        load_balancer other(heavy, weighted_round_robin{});
        first_weighted[pick_id(other)] += 1;
    }
    EXPECT_EQ(first.size(), 10u);
    for (const auto& [id, count] : first) {
        EXPECT_NEAR(count, 100, 60) << id;
    }
    EXPECT_NEAR(first_weighted["e0"], 1'000 / 30.0, 33);
    EXPECT_NEAR(first_weighted["e4"], 5'000 / 30.0, 80);
}

TEST_F(rotation, shares_are_within_a_few_picks_of_the_weights_at_any_time) {
    const std::vector<double> weights{1, 2, 3, 0.5, 13};
    endpoint_set set(weighted(weights));
    load_balancer balancer(set, weighted_round_robin{}, options);
    std::map<std::string, int> counts;
    for (int i = 1; i <= 20'000; ++i) {
        counts[pick_id(balancer)] += 1;
        for (std::size_t e = 0; e < weights.size(); ++e) {
            ASSERT_NEAR(counts["e" + std::to_string(e)], i * weights[e] / 19.5, 4) << "after " << i;
        }
    }
}

TEST_F(rotation, turns_of_an_endpoint_are_evenly_spaced) {
    endpoint_set set(weighted({5, 1, 1}));
    load_balancer balancer(set, weighted_round_robin{}, options);
    int gap = 0;
    for (int i = 0; i < 7'000; ++i) {
        if (pick_id(balancer) == "e1") {
            EXPECT_TRUE(i < 20 || (gap >= 3 && gap <= 13)) << gap;
            gap = 0;
        }
        gap += 1;
    }
}

TEST_F(rotation, stays_proportional_over_1000_rebuilds_with_few_picks_each) {
    auto list = weighted({1, 2, 7});
    endpoint_set set(list);
    load_balancer balancer(set, weighted_round_robin{}, options);
    std::map<std::string, int> counts;
    for (int i = 0; i < 1'000; ++i) {
        list[0].labels = {{"build", std::to_string(i)}};  // a change that matters to nobody
        set.update(list);
        for (int p = 0; p < 3; ++p) {
            counts[pick_id(balancer)] += 1;
        }
    }
    EXPECT_NEAR(counts["e0"], 300, 5);
    EXPECT_NEAR(counts["e1"], 600, 5);
    EXPECT_NEAR(counts["e2"], 2'100, 5);
}

TEST_F(rotation, follows_weights_changed_while_running) {
    endpoint_set set(weighted({1, 1, 2}));
    load_balancer balancer(set, weighted_round_robin{}, options);
    EXPECT_NEAR(count_picks(balancer, 400)["e2"], 200, 3);
    set.update(weighted({1, 1, 8}));
    EXPECT_NEAR(count_picks(balancer, 400)["e2"], 320, 3);
    set.update(weighted({1, 1, 0}));
    EXPECT_EQ(count_picks(balancer, 400)["e2"], 0) << "weight 0 is drained";
}

TEST_F(rotation, an_unknown_weight_counts_like_the_mean_of_the_known) {
    auto list = weighted({2, 4, 1});
    list[2].weight.reset();
    endpoint_set set(list);
    load_balancer balancer(set, weighted_round_robin{}, options);
    auto counts = count_picks(balancer, 900);
    EXPECT_NEAR(counts["e0"], 200, 3);
    EXPECT_NEAR(counts["e2"], 300, 3);
}

TEST_F(rotation, extreme_weights_are_no_trouble) {
    endpoint_set set(weighted({1e-300, 1e300, 1e300}));
    load_balancer balancer(set, weighted_round_robin{}, options);
    EXPECT_NEAR(count_picks(balancer, 100)["e1"], 50, 3);
}

TEST_F(rotation, passes_over_what_is_excluded) {
    endpoint_set set(weighted({1, 1, 1000}));
    load_balancer balancer(set, weighted_round_robin{}, options);
    const endpoint_key tried[] = {key_of("e2"), key_of("e0")};
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(pick_id(balancer, {.exclude = tried}), "e1");
    }
}

TEST_F(rotation, locating_takes_turns) {
    endpoint_set set(endpoints(5));
    load_balancer balancer(set, round_robin{}, options);
    std::map<endpoint_key, int> counts;
    for (int i = 0; i < 500; ++i) {
        counts[*balancer.locate()] += 1;
    }
    EXPECT_EQ(counts.size(), 5u);
    for (const auto& [key, count] : counts) {
        EXPECT_EQ(count, 100);
    }
}

TEST_F(rotation, a_located_ejection_ends_in_time) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 5; ++i) {
        balancer.pick({.sticky = "e0"})->complete(outcome::failed(1ms));
    }
    const auto finds_e0 = [&] {
        int found = 0;
        for (int i = 0; i < 8; ++i) {
            found += balancer.locate() == key_of("e0") ? 1 : 0;
        }
        return found;
    };
    EXPECT_EQ(finds_e0(), 0);
    clock.advance(30s);
    EXPECT_EQ(finds_e0(), 2);
}

TEST_F(rotation, random_goes_by_weight) {
    endpoint_set set(weighted({1, 3}));
    load_balancer balancer(set, random_choice{}, options);
    EXPECT_NEAR(count_picks(balancer, 10'000)["e1"], 7'500, 200);
    endpoint_set even(endpoints(4));
    load_balancer plain(even, random_choice{}, options);
    EXPECT_NEAR(count_picks(plain, 10'000)["e1"], 2'500, 200);
}

}  // namespace
