#include "levee/balance/make_strategy.hpp"

#include "levee/balance/concurrency_limit.hpp"
#include "levee/core/hash.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using namespace levee;

std::string refusal(std::string_view description) {
    try {
        static_cast<void>(make_strategy(description));
    } catch (const std::invalid_argument& refused) {
        return refused.what();
    }
    return "";
}

TEST(make_strategy, knows_every_strategy_by_its_own_name) {
    const auto names = strategy_names();
    EXPECT_EQ(names.size(), 10u);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    for (const std::string_view name : names) {
        EXPECT_EQ(make_strategy(name)->name(), name);
    }
}

TEST(make_strategy, every_strategy_picks_among_any_number) {
    for (const std::string_view name : strategy_names()) {
        for (const int count : {1, 2, 3, 10, 300}) {
            endpoint_set set(test::endpoints(count));
            load_balancer balancer(set, make_strategy(name), {.seed = 1});
            for (int i = 0; i < 50; ++i) {
                EXPECT_NE(test::pick_id(balancer), "") << name << ' ' << count;
            }
            std::vector<endpoint_key> tried;
            while (auto pick = balancer.pick({.hash = 1, .exclude = tried})) {
                ASSERT_EQ(std::count(tried.begin(), tried.end(), pick->key()), 0) << name;
                tried.push_back(pick->key());
            }
            EXPECT_EQ(tried.size(), static_cast<std::size_t>(count)) << name;
        }
    }
}

TEST(make_strategy, every_strategy_locates_without_counting) {
    for (const std::string_view name : strategy_names()) {
        test::manual_clock_stub clock;
        endpoint_set none;
        EXPECT_FALSE(load_balancer(none, make_strategy(name), {.clock = &clock}).locate()) << name;
        endpoint_set set(test::endpoints(12));
        load_balancer balancer(set, make_strategy(name), {.seed = 1, .clock = &clock});
        set.set_health("e3", false);
        const endpoint_key tried[] = {key_of("e4"), key_of("e5")};
        for (std::uint64_t i = 0; i < 300; ++i) {
            const auto plain = balancer.locate({.hash = hash_mix(i)});
            const auto other = balancer.locate({.hash = hash_mix(i), .exclude = tried});
            ASSERT_TRUE(plain && other) << name;
            EXPECT_NE(*plain, key_of("e3")) << name;
            EXPECT_NE(*other, key_of("e3")) << name;
            EXPECT_NE(*other, tried[0]) << name;
            EXPECT_NE(*other, tried[1]) << name;
        }
        for (const auto& one : balancer.status()) {
            EXPECT_EQ(one.picks, 0u) << name;
            EXPECT_EQ(one.in_flight, 0u) << name;
        }
        std::vector<endpoint_key> all;
        for (int e = 0; e < 12; ++e) {
            all.push_back(key_of("e" + std::to_string(e)));
        }
        EXPECT_FALSE(balancer.locate({.exclude = all})) << name;
    }
}

TEST(make_strategy, reads_options) {
    EXPECT_EQ(make_strategy("least_response_time:tau=2.5,choices=3")->needs().latency_tau, 2500ms);
    EXPECT_TRUE(make_strategy("maglev:table_size=5003,bounded_load=1.25")->needs().in_flight);
    EXPECT_FALSE(make_strategy("maglev:table_size=5003")->needs().in_flight);
    EXPECT_EQ(refusal("power_of_two:choices=3"), "");
}

TEST(make_strategy, says_what_is_wrong_and_what_is_known) {
    EXPECT_NE(refusal("fastest").find("known: ip_hash, least_connections"), std::string::npos);
    EXPECT_NE(refusal("power_of_two:choice=3").find("no option \"choice\"; known: choices"),
              std::string::npos);
    EXPECT_NE(refusal("power_of_two:choices=two").find("\"two\"; it must be a number"), std::string::npos);
    EXPECT_NE(refusal("power_of_two:choices=-2"), "");
    EXPECT_NE(refusal("power_of_two:choices=1").find("in [2, 16]"), std::string::npos);
    EXPECT_NE(refusal("power_of_two:choices").find("not option=value"), std::string::npos);
    EXPECT_NE(refusal("power_of_two:"), "");
    EXPECT_NE(refusal("least_response_time:tau=0").find("seconds"), std::string::npos);
    EXPECT_NE(refusal("round_robin:a=1").find("known: none"), std::string::npos);
    EXPECT_NE(refusal("maglev:bounded_load=nan"), "");
    EXPECT_NE(refusal(""), "");
}

TEST(gradient_limit, stays_within_its_bounds_and_falls_with_drops) {
    gradient_limit limit({.initial = 10, .minimum = 4, .maximum = 30});
    for (int i = 0; i < 5'000; ++i) {
        limit.on_answer(1ms, limit.limit());
    }
    EXPECT_EQ(limit.limit(), 30u);
    limit.on_drop();
    EXPECT_EQ(limit.limit(), 27u);
    for (int i = 0; i < 100; ++i) {
        limit.on_drop();
    }
    EXPECT_EQ(limit.limit(), 4u);
}

TEST(gradient_limit, does_not_rise_while_it_is_not_used) {
    gradient_limit limit({.initial = 20});
    for (int i = 0; i < 5'000; ++i) {
        limit.on_answer(1ms, 3);
    }
    EXPECT_EQ(limit.limit(), 20u);
}

TEST(gradient_limit, refuses_wrong_options) {
    EXPECT_THROW(gradient_limit({.minimum = 0}), std::invalid_argument);
    EXPECT_THROW(gradient_limit({.initial = 2000}), std::invalid_argument);
    EXPECT_THROW(gradient_limit({.initial = 5, .minimum = 5, .maximum = 4}), std::invalid_argument);
    EXPECT_THROW(gradient_limit({.tolerance = 0.5}), std::invalid_argument);
    EXPECT_THROW(gradient_limit({.smoothing = 0}), std::invalid_argument);
    EXPECT_THROW(gradient_limit({.window = 0}), std::invalid_argument);
}

}  // namespace
