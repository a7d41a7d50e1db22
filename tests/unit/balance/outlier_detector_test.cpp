// B7: outlier ejection.
#include "levee/balance/outlier_detector.hpp"

#include "levee/balance/load_balancer.hpp"
#include "levee/balance/round_robin.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::count_picks;
using test::endpoints;
using test::status_of;

struct outlier_test : testing::Test {
    test::manual_clock_stub clock;
    load_balancer_options options{.panic_threshold = 0, .seed = 1, .clock = &clock};

    // Sends to one endpoint.
    static void send(load_balancer& balancer, const std::string& id, const outcome& how, int times = 1) {
        for (int i = 0; i < times; ++i) {
            if (auto pick = balancer.pick({.sticky = id}); pick && pick->endpoint().id == id) {
                pick->complete(how);
            }
        }
    }
    static bool is_ejected(const load_balancer& balancer, const std::string& id) {
        return status_of(balancer, id).why_not == ineligibility::ejected;
    }
};

TEST_F(outlier_test, ejects_after_five_failures_in_a_row_for_30_seconds) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    send(balancer, "e0", outcome::failed(1ms), 4);
    EXPECT_FALSE(is_ejected(balancer, "e0"));
    send(balancer, "e0", outcome::timed_out(1ms));
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    EXPECT_FALSE(count_picks(balancer, 100).contains("e0"));
    clock.advance(30s - 1ns);
    EXPECT_FALSE(count_picks(balancer, 100).contains("e0"));
    clock.advance(1ns);
    EXPECT_EQ(count_picks(balancer, 100)["e0"], 25);
}

TEST_F(outlier_test, a_success_ends_the_row) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 5; ++i) {
        send(balancer, "e0", outcome::failed(1ms), 4);
        send(balancer, "e0", outcome::ok(1ms));
    }
    EXPECT_FALSE(is_ejected(balancer, "e0"));
}

TEST_F(outlier_test, overload_and_cancellation_do_not_eject) {
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    send(balancer, "e0", outcome::overloaded(1ms), 500);
    send(balancer, "e1", outcome::cancelled(), 500);
    EXPECT_FALSE(is_ejected(balancer, "e0"));
    EXPECT_FALSE(is_ejected(balancer, "e1"));
}

TEST_F(outlier_test, the_cap_holds_after_the_ejection) {
    endpoint_set set(endpoints(5));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 5; ++i) {
        send(balancer, "e" + std::to_string(i), outcome::failed(1ms), 20);
    }
    int ejected = 0;
    for (int i = 0; i < 5; ++i) {
        ejected += is_ejected(balancer, "e" + std::to_string(i)) ? 1 : 0;
    }
    EXPECT_EQ(ejected, 2) << "half of five, and not one more";
}

TEST_F(outlier_test, the_last_eligible_endpoint_is_never_ejected) {
    options.outlier->max_ejected_share = 1;
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    set.set_health("e3", false);
    for (int i = 0; i < 3; ++i) {
        send(balancer, "e" + std::to_string(i), outcome::failed(1ms), 20);
    }
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    EXPECT_TRUE(is_ejected(balancer, "e1"));
    EXPECT_FALSE(is_ejected(balancer, "e2"));
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(balancer.pick()->endpoint().id, "e2");
    }
}

TEST_F(outlier_test, burst_and_spread_failures_are_decided_alike) {
    options.outlier->consecutive_failures = 0;
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    // 60 requests with 30 failures each; e2 has 29 of them.
    send(balancer, "e0", outcome::ok(1ms), 30);
    send(balancer, "e0", outcome::failed(1ms), 30);
    for (int i = 0; i < 30; ++i) {
        send(balancer, "e1", outcome::ok(1ms));
        send(balancer, "e1", outcome::failed(1ms));
        send(balancer, "e2", outcome::ok(1ms));
        send(balancer, "e2", i < 29 ? outcome::failed(1ms) : outcome::ok(1ms));
    }
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    EXPECT_TRUE(is_ejected(balancer, "e1"));
    EXPECT_FALSE(is_ejected(balancer, "e2"));
}

TEST_F(outlier_test, old_failures_are_forgotten) {
    options.outlier->consecutive_failures = 0;
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 10; ++i) {
        send(balancer, "e0", outcome::failed(1ms), 40);
        clock.advance(20s);
    }
    EXPECT_FALSE(is_ejected(balancer, "e0")) << "never 50 requests in 10 s";
}

TEST_F(outlier_test, ejects_what_is_far_below_the_others_success_rate) {
    options.outlier =
        outlier_options{.consecutive_failures = 0, .failure_share = 0, .success_deviations = 1.9};
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    for (int round = 0; round < 30; ++round) {
        for (int i = 0; i < 100; ++i) {
            for (int e = 0; e < 10; ++e) {
                send(balancer, "e" + std::to_string(e),
                     i % 100 < (e == 3 ? 20 : 1) ? outcome::failed(1ms) : outcome::ok(1ms));
            }
        }
        clock.advance(1s);
    }
    for (int e = 0; e < 10; ++e) {
        EXPECT_EQ(status_of(balancer, "e" + std::to_string(e)).ejections > 0, e == 3) << e;
    }
}

// ---- failing alike ----------------------------------------------------------------------------------------

struct outage_test : outlier_test {
    // Sends to each in turn.
    static void send_all(load_balancer& balancer, int first, int end, const outcome& how, int times) {
        for (int i = 0; i < times; ++i) {
            for (int e = first; e < end; ++e) {
                send(balancer, "e" + std::to_string(e), how);
            }
        }
    }
    static int count_ejected(const load_balancer& balancer) {
        int count = 0;
        for (const auto& one : balancer.status()) {
            count += one.why_not == ineligibility::ejected ? 1 : 0;
        }
        return count;
    }
};

TEST_F(outage_test, failing_like_all_others_is_no_outlier) {
    for (const int size : {2, 3, 10, 300}) {
        endpoint_set set(endpoints(size));
        load_balancer balancer(set, round_robin{}, options);
        send_all(balancer, 0, size, outcome::ok(1ms), 3);
        send_all(balancer, 0, size, outcome::failed(1ms), 20);
        EXPECT_EQ(count_ejected(balancer), 0) << size;
    }
}

TEST_F(outage_test, failing_like_most_others_is_no_outlier_and_like_fewer_is) {
    for (const auto& [failing, ejected] : {std::pair{6, 0}, std::pair{5, 5}}) {
        endpoint_set set(endpoints(10));
        load_balancer balancer(set, round_robin{}, options);
        for (int i = 0; i < 20; ++i) {
            send_all(balancer, 0, failing, outcome::failed(1ms), 1);
            send_all(balancer, failing, 10, outcome::ok(1ms), 1);
        }
        EXPECT_EQ(count_ejected(balancer), ejected) << failing;
    }
}

TEST_F(outage_test, spread_failures_of_all_eject_nobody) {
    for (const std::uint32_t row : {0U, 5U}) {
        options.outlier->consecutive_failures = row;
        endpoint_set set(endpoints(4));
        load_balancer balancer(set, round_robin{}, options);
        // Six of ten requests fail, and never the last one of most endpoints at once.
        for (int i = 0; i < 1'000; ++i) {
            for (int e = 0; e < 4; ++e) {
                const bool fails = (i + 5 * (e % 2)) % 10 < 6;
                send(balancer, "e" + std::to_string(e), fails ? outcome::failed(1ms) : outcome::ok(1ms));
            }
        }
        EXPECT_EQ(count_ejected(balancer), 0) << row;
    }
}

TEST_F(outage_test, who_fails_more_than_twice_as_often_as_most_is_ejected) {
    options.outlier->consecutive_failures = 0;
    endpoint_set set(endpoints(4));
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 100; ++i) {
        send_all(balancer, 1, 4, i % 4 == 0 ? outcome::failed(1ms) : outcome::ok(1ms), 1);
        send(balancer, "e0", i % 10 < 6 ? outcome::failed(1ms) : outcome::ok(1ms));
    }
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    EXPECT_EQ(count_ejected(balancer), 1);
}

TEST_F(outage_test, ejections_from_an_outages_beginning_end_with_the_first_success) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    for (int e = 0; e < 4; ++e) {
        send(balancer, "e" + std::to_string(e), outcome::failed(1ms), 5);
        clock.advance(1s);
    }
    EXPECT_EQ(count_ejected(balancer), 4);
    send_all(balancer, 4, 10, outcome::failed(1ms), 10);
    EXPECT_EQ(count_ejected(balancer), 4);
    send(balancer, "e7", outcome::ok(1ms));
    EXPECT_EQ(count_ejected(balancer), 0);
    EXPECT_EQ(count_picks(balancer, 100)["e0"], 10);

    // Nothing is held against them: the next ejection is a first one.
    send_all(balancer, 0, 10, outcome::ok(1ms), 1);
    send(balancer, "e0", outcome::failed(1ms), 5);
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    clock.advance(30s);
    EXPECT_EQ(count_picks(balancer, 100)["e0"], 10);
}

TEST_F(outage_test, a_success_without_an_outage_ends_no_ejection) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    send(balancer, "e0", outcome::failed(1ms), 5);
    send_all(balancer, 1, 9, outcome::failed(1ms), 20);  // all but one
    send_all(balancer, 1, 10, outcome::ok(1ms), 10);
    EXPECT_TRUE(is_ejected(balancer, "e0"));
}

TEST_F(outage_test, an_ejection_from_long_before_the_outage_stays) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    send(balancer, "e0", outcome::failed(1ms), 5);
    clock.advance(9s);
    send(balancer, "e1", outcome::failed(1ms), 5);
    clock.advance(2s);
    send_all(balancer, 2, 10, outcome::failed(1ms), 10);
    send(balancer, "e5", outcome::ok(1ms));
    EXPECT_TRUE(is_ejected(balancer, "e0"));
    EXPECT_FALSE(is_ejected(balancer, "e1"));
    clock.advance(19s);
    EXPECT_EQ(count_picks(balancer, 100)["e0"], 10);
}

TEST_F(outage_test, a_tier_that_fails_as_a_whole_is_ejected_while_another_works) {
    auto list = endpoints(10);
    for (int e = 6; e < 10; ++e) {
        list[static_cast<std::size_t>(e)].priority = 1;
    }
    endpoint_set set(list);
    load_balancer balancer(set, round_robin{}, options);
    for (int i = 0; i < 400; ++i) {
        auto pick = balancer.pick();
        const bool fails = pick->endpoint().priority == 0;
        pick->complete(fails ? outcome::failed(1ms) : outcome::ok(1ms));
    }
    EXPECT_EQ(count_ejected(balancer), 5) << "the cap: half of all";
    EXPECT_GT(count_picks(balancer, 100)["e9"], 0);
}

TEST_F(outage_test, when_the_last_are_found_unhealthy_ejections_end_as_recovery_begins) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, round_robin{}, options);
    for (int e = 0; e < 4; ++e) {
        send(balancer, "e" + std::to_string(e), outcome::failed(1ms), 5);
    }
    for (int e = 4; e < 10; ++e) {
        set.set_health("e" + std::to_string(e), false);
    }
    EXPECT_EQ(count_ejected(balancer), 4);
    EXPECT_FALSE(balancer.pick());
    set.set_health("e4", true);
    EXPECT_EQ(count_ejected(balancer), 0);
    auto counts = count_picks(balancer, 1'000);
    EXPECT_NEAR(counts[""], 500, 60) << "five of ten are back";
    EXPECT_NEAR(counts["e0"], 100, 20);
    clock.advance(10s);
    EXPECT_EQ(count_picks(balancer, 100)[""], 0);
}

TEST(outlier_detector, fails_alike_from_half_the_share_on) {
    EXPECT_TRUE(outlier_detector::fails_alike(1.0, 1, -1.0));
    EXPECT_FALSE(outlier_detector::fails_alike(1.0, 0, -1.0)) << "nothing known";
    EXPECT_TRUE(outlier_detector::fails_alike(0.8, 0, 0.5));
    EXPECT_FALSE(outlier_detector::fails_alike(0.8, 0, 0.7));
    EXPECT_FALSE(outlier_detector::fails_alike(1.0, 0, 1.0));
}

TEST(outlier_detector, ejections_grow_to_the_maximum_and_shrink_in_quiet_times) {
    const outlier_detector detector;
    outlier_detector::history history;
    time_point now{1h};
    for (int k = 1; k <= 15; ++k) {
        EXPECT_EQ(detector.eject(history, now) - now, (std::min)(duration(30s * k), duration(300s)));
        now = history.ejected_until();
    }
    now += 13 * 30s;
    EXPECT_EQ(detector.eject(history, now) - now, 90s) << "15 - 13 + 1";
    now = history.ejected_until() + 1h;
    EXPECT_EQ(detector.eject(history, now) - now, 30s);
}

TEST(outlier_detector, counts_the_ejection_that_is_asked_for) {
    const outlier_detector tenth({.max_ejected_share = 0.1});
    EXPECT_FALSE(tenth.allows(5, 0, 5));
    EXPECT_TRUE(tenth.allows(10, 0, 10));
    EXPECT_FALSE(tenth.allows(10, 1, 9));
    EXPECT_TRUE(tenth.allows(20, 1, 19));
    EXPECT_FALSE(outlier_detector({.max_ejected_share = 1}).allows(3, 2, 1));
}

TEST(outlier_detector, with_too_few_endpoints_or_equal_ones_nobody_is_below) {
    const outlier_detector detector({.success_deviations = 1.0});
    EXPECT_TRUE(detector.below_the_others(std::vector<double>{1, 1, 1, 0}).empty());
    EXPECT_TRUE(detector.below_the_others(std::vector<double>{0.7, 0.7, 0.7, 0.7, 0.7, 0.7}).empty());
    EXPECT_TRUE(detector.below_the_others(std::vector<double>{1, 1, 1, 0, -1, -1}).empty());
    EXPECT_EQ(detector.below_the_others(std::vector<double>{1, 1, 0.2, 1, 1}), std::vector<std::size_t>{2});
}

TEST(outlier_detector, refuses_wrong_options) {
    EXPECT_THROW(outlier_detector({.failure_share = 1.1}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.minimum_requests = 0}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.success_deviations = -1}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.minimum_endpoints = 1}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.interval = 0s}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.base_ejection = 0s}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.max_ejection = 1s}), std::invalid_argument);
    EXPECT_THROW(outlier_detector({.max_ejected_share = 2}), std::invalid_argument);
}

}  // namespace
