// B1 to B3: the default strategy and endpoints that fail fast, were slow once, or are new.
#include "levee/balance/least_response_time.hpp"
#include "levee/balance/least_connections.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/power_of_two.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::endpoints;
using test::pick_id;
using test::status_of;
using test::traffic;

struct least_response_time_test : testing::TestWithParam<int> {
    test::manual_clock_stub clock;
    load_balancer_options options{.outlier = std::nullopt, .seed = 1, .clock = &clock};
};

double share(const std::map<std::string, int>& counts, const std::string& id) {
    int all = 0;
    for (const auto& [each, count] : counts) {
        all += count;
    }
    const auto found = counts.find(id);
    return found == counts.end() ? 0.0 : static_cast<double>(found->second) / all;
}

TEST_P(least_response_time_test, b1_an_endpoint_that_fails_in_no_time_gets_at_most_2_percent) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    traffic load(balancer, clock, [&](const endpoint& one) -> traffic::answer {
        if (one.id == "e0") {
            return {100us, outcome_kind::failed};
        }
        return {duration(static_cast<duration::rep>(load.exponential(1e6)))};
    });
    EXPECT_LE(share(load.run(20s, 1ms), "e0"), 0.02);
}

TEST_P(least_response_time_test, b1_nor_does_one_that_begins_to_fail) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    bool fails = false;
    traffic load(balancer, clock, [&](const endpoint& one) -> traffic::answer {
        if (fails && one.id == "e0") {
            return {100us, outcome_kind::failed};
        }
        return {duration(static_cast<duration::rep>(load.exponential(1e6)))};
    });
    load.run(5s, 1ms);
    fails = true;
    EXPECT_LE(share(load.run(20s, 1ms), "e0"), 0.02);
    fails = false;
    load.run(60s, 1ms);
    EXPECT_GE(share(load.run(20s, 1ms), "e0"), 0.25 / GetParam()) << "it comes back";
}

TEST_P(least_response_time_test, b1_nor_does_one_that_answers_too_busy) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    traffic load(balancer, clock, [&](const endpoint& one) -> traffic::answer {
        if (one.id == "e0") {
            return {100us, outcome_kind::overloaded};
        }
        return {1ms};
    });
    EXPECT_LE(share(load.run(20s, 1ms), "e0"), 0.02);
}

TEST_P(least_response_time_test, b2_one_early_slow_answer_is_forgiven) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    int served = 0;
    traffic load(balancer, clock, [&](const endpoint&) -> traffic::answer {
        return {++served == 1 ? duration(1s) : duration(static_cast<duration::rep>(load.exponential(1e6)))};
    });
    load.run(90s, 1ms);
    const auto counts = load.run(60s, 1ms);
    for (const endpoint& one : endpoints(GetParam())) {
        EXPECT_GE(share(counts, one.id), 0.4 / GetParam()) << one.id;
        EXPECT_LE(share(counts, one.id), 2.0 / GetParam()) << one.id;
    }
}

TEST_P(least_response_time_test, b3_a_new_endpoint_is_neither_flooded_nor_starved) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    traffic load(balancer, clock, [&](const endpoint&) -> traffic::answer {
        return {duration(static_cast<duration::rep>(load.exponential(5e6)))};
    });
    load.run(10s, 1ms);
    set.add({.id = "new"});
    for (const duration span : {duration(500ms), duration(10s)}) {
        const double got = share(load.run(span, 1ms), "new");
        EXPECT_GE(got, 0.3 / (GetParam() + 1)) << span.count();
        EXPECT_LE(got, 2.5 / (GetParam() + 1)) << span.count();
    }
}

TEST_P(least_response_time_test, a_silent_endpoint_is_left_alone) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    bool hangs = false;
    traffic load(balancer, clock, [&](const endpoint& one) -> traffic::answer {
        if (hangs && one.id == "e0") {
            return {1h};
        }
        return {1ms};
    });
    load.run(5s, 1ms);
    hangs = true;
    EXPECT_LE(share(load.run(20s, 1ms), "e0"), 0.01);
}

TEST_P(least_response_time_test, prefers_the_fast) {
    endpoint_set set(endpoints(GetParam()));
    load_balancer balancer(set, least_response_time{}, options);
    traffic load(balancer, clock,
                 [](const endpoint& one) -> traffic::answer { return {one.id == "e0" ? 20ms : 1ms}; });
    load.run(5s, 1ms);
    EXPECT_LE(share(load.run(20s, 1ms), "e0"), 0.2 / GetParam());
}

INSTANTIATE_TEST_SUITE_P(sizes, least_response_time_test, testing::Values(2, 4, 10, 20));

TEST(score, g8_no_error_makes_an_endpoint_more_attractive) {
    for (const outcome_kind kind :
         {outcome_kind::failed, outcome_kind::timed_out, outcome_kind::overloaded}) {
        for (const duration latency : {duration(0), duration(100us), duration(5ms), duration(10s)}) {
            test::manual_clock_stub clock;
            endpoint_set set(endpoints(1));
            load_balancer balancer(set, least_response_time{},
                                   {.outlier = std::nullopt, .explain_picks = 1, .seed = 1, .clock = &clock});
            const auto score = [&] {
                balancer.pick().reset();
                return balancer.explain().back().candidates.front().score;
            };
            pick_id(balancer, {}, outcome::ok(5ms));
            double before = score();
            for (int i = 0; i < 100; ++i) {
                pick_id(balancer, {}, {kind, latency});
                const double after = score();
                EXPECT_GE(after, before);
                before = after;
            }
        }
    }
}

TEST(score, decays_as_the_exponential_does) {
    const detail::decay_scale scale(10s);
    for (int i = 0; i < 100'000; i += 97) {
        const time_point from{1h};
        const duration passed = i * 1ms;
        const double kept = scale.kept(scale.tick(from + passed) - scale.tick(from));
        EXPECT_NEAR(kept, std::exp(-i / 10'000.0), 6e-4);
    }
}

TEST(score, a_thread_a_little_behind_changes_nothing) {
    const detail::decay_scale scale(10s);
    detail::latency_score score;
    const time_point now{1h};
    score.on_success(5e6F, scale.tick(now), scale);
    EXPECT_FLOAT_EQ(score.latency(0, scale.tick(now - 1s), scale), 5e6F);
    EXPECT_FLOAT_EQ(score.latency(3, scale.tick(now - 1s), scale), 5e6F);
}

TEST(score, an_idle_mark_wears_off_and_a_busy_one_does_not) {
    const detail::decay_scale scale(10s);
    detail::latency_score score;
    const time_point now{1h};
    score.on_success(5e6F, scale.tick(now), scale);
    EXPECT_NEAR(score.latency(0, scale.tick(now + 1250ms), scale), 5e6 / std::exp(1.0), 1e4);
    score.on_busy(scale.tick(now + 10s));
    EXPECT_FLOAT_EQ(score.latency(1, scale.tick(now + 10s + 3ms), scale), 5e6F);
    EXPECT_NEAR(score.latency(1, scale.tick(now + 12s), scale), 2e9, 3e6) << "silent for 2 s";
}

TEST(score, what_is_unknown_stays_unknown_however_long_nobody_asks) {  // B3
    const detail::decay_scale scale(10s);
    const detail::latency_score score;
    for (const duration passed : {duration(1s), duration(1000s), duration(2h)}) {
        EXPECT_LT(score.latency(0, scale.tick(time_point{passed}), scale), 0.0F) << passed.count();
    }
}

TEST(score, b2_one_bad_sample_fades_8_times_as_fast_as_one_that_was_confirmed) {
    const detail::decay_scale scale(10s);
    const auto left = [&](int times) {
        detail::latency_score score;
        time_point now{1h};
        for (int i = 0; i < times; ++i, now += 60s) {
            score.on_success(1e8F, scale.tick(now), scale);
        }
        return static_cast<double>(score.latency(0, scale.tick(now - 60s + 5s), scale)) / 1e8;
    };
    EXPECT_NEAR(left(1), std::exp(-4.0), 1e-3);
    EXPECT_NEAR(left(2), std::exp(-2.0), 1e-3);
    EXPECT_NEAR(left(4), std::exp(-0.5), 1e-3);
    EXPECT_NEAR(left(9), std::exp(-0.5), 1e-3);
}

TEST(score, b2_a_good_answer_after_a_pause_does_not_call_the_bad_mark_back) {
    const detail::decay_scale scale(10s);
    detail::latency_score score;
    const time_point now{1h};
    score.on_success(1e8F, scale.tick(now), scale);
    const float faded = score.latency(0, scale.tick(now + 5s), scale);
    score.on_success(1e6F, scale.tick(now + 5s), scale);
    EXPECT_LE(score.latency(0, scale.tick(now + 5s), scale), faded);
    EXPECT_GE(score.latency(0, scale.tick(now + 5s), scale), 1e6F);
}

TEST(score, what_fails_again_and_again_does_not_fade_faster) {
    const detail::decay_scale scale(10s);
    detail::latency_score score;
    const time_point now{1h};
    score.on_success(5e6F, scale.tick(now), scale);
    for (int i = 0; i < 16; ++i) {
        score.on_error(1e5F, scale.tick(now), scale);
    }
    EXPECT_NEAR(score.latency(0, scale.tick(now + 10s), scale), 5e6 / std::exp(1.0), 1e4);
}

// The other load-aware strategies have the outlier detector for this.
TEST(outliers, b1_the_defaults_keep_a_failing_endpoint_out_with_every_strategy_by_load) {
    const auto failing_share = [](auto how) {
        test::manual_clock_stub clock;
        endpoint_set set(endpoints(10));
        load_balancer balancer(set, how, {.seed = 1, .clock = &clock});
        traffic load(balancer, clock, [&](const endpoint& one) -> traffic::answer {
            return one.id == "e0" ? traffic::answer{100us, outcome_kind::failed} : traffic::answer{10ms};
        });
        return share(load.run(20s, 1ms), "e0");
    };
    EXPECT_LE(failing_share(least_connections{}), 0.02);
    EXPECT_LE(failing_share(power_of_two{}), 0.02);
    EXPECT_LE(failing_share(least_response_time{}), 0.02);
}

TEST(least_response_time, refuses_wrong_options) {
    EXPECT_THROW(least_response_time({.choices = 1}), std::invalid_argument);
    EXPECT_THROW(least_response_time({.choices = 17}), std::invalid_argument);
    EXPECT_THROW(least_response_time({.tau = 0s}), std::invalid_argument);
    EXPECT_THROW(power_of_two({.choices = 1}), std::invalid_argument);
}

}  // namespace
