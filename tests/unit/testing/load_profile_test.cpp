#include "levee/testing/load_profile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace levee::testing {
namespace {

using namespace std::chrono_literals;

std::vector<duration> schedule_of(const load_profile& profile) {
    arrival_schedule schedule(profile);
    std::vector<duration> all;
    while (const auto due = schedule.next()) {
        all.push_back(*due);
    }
    return all;
}

std::vector<duration> schedule_of(load_profile profile, arrival_pattern pattern, std::uint64_t seed = 1) {
    profile.pattern = pattern;
    profile.seed = seed;
    return schedule_of(profile);
}

auto between(const std::vector<duration>& all, duration from, duration to) {
    return std::count_if(all.begin(), all.end(), [&](duration due) { return due >= from && due < to; });
}

std::string refusal(const load_profile& profile) {
    try {
        profile.validate();
    } catch (const std::invalid_argument& problem) {
        return problem.what();
    }
    return "accepted";
}

TEST(an_arrival_schedule, spaces_a_constant_rate_evenly_from_the_start) {
    const auto all = schedule_of(load_profile::load(1000, 2s), arrival_pattern::constant);
    ASSERT_EQ(all.size(), 2000U);
    for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_LE(std::chrono::abs(all[i] - duration(1ms) * static_cast<duration::rep>(i)), 1ns) << i;
    }
}

TEST(an_arrival_schedule, has_no_request_more_or_less_through_rounding) {
    for (int tenths = 1; tenths <= 300; ++tenths) {
        const auto profile = load_profile::load(tenths / 10.0, 10s);
        EXPECT_EQ(schedule_of(profile, arrival_pattern::constant).size(), static_cast<std::size_t>(tenths));
    }
}

TEST(an_arrival_schedule, is_the_same_for_the_same_seed_only) {
    const auto profile = load_profile::spike(100, 1000, 5s, 2s);
    EXPECT_EQ(schedule_of(profile, arrival_pattern::poisson, 7),
              schedule_of(profile, arrival_pattern::poisson, 7));
    EXPECT_NE(schedule_of(profile, arrival_pattern::poisson, 7),
              schedule_of(profile, arrival_pattern::poisson, 8));
}

TEST(an_arrival_schedule, rises_in_time_and_stays_within_the_profile) {
    for (const auto pattern : {arrival_pattern::constant, arrival_pattern::poisson}) {
        const auto profile = load_profile::stress(10, 5000, 3s, 7);
        const auto all = schedule_of(profile, pattern);
        EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
        EXPECT_GE(all.front(), 0s);
        EXPECT_LT(all.back(), 3s);
    }
}

TEST(an_arrival_schedule, draws_exponential_gaps_for_poisson_arrivals) {
    const auto all = schedule_of(load_profile::load(1000, 200s), arrival_pattern::poisson);
    const auto number = static_cast<double>(all.size());
    EXPECT_NEAR(number, 200'000, 5 * std::sqrt(200'000.0));
    double longer = 0;
    for (std::size_t i = 1; i < all.size(); ++i) {
        longer += all[i] - all[i - 1] > 1ms ? 1 : 0;  // than the mean: e^-1 of them
    }
    EXPECT_NEAR(longer / number, std::exp(-1.0), 0.005);
}

TEST(an_arrival_schedule, follows_a_ramp) {
    const auto rising = schedule_of(load_profile::stress(0, 1000, 10s, 0), arrival_pattern::constant);
    EXPECT_EQ(rising.size(), 5000U);
    for (int second = 0; second < 10; ++second) {
        EXPECT_NEAR(static_cast<double>(between(rising, second * 1s, (second + 1) * 1s)), 100 * second + 50,
                    1);
    }
    load_profile falling;
    falling.phases = {{10s, 1000, 0}};
    const auto down = schedule_of(falling, arrival_pattern::constant);
    EXPECT_EQ(down.size(), 5000U);
    EXPECT_NEAR(static_cast<double>(between(down, 9s, 10s)), 50, 1);
}

TEST(an_arrival_schedule, sends_nothing_in_a_phase_without_a_rate) {
    load_profile profile;
    profile.phases = {{1s, 100, 100}, {1h - 2s, 0, 0}, {1s, 100, 100}};
    for (const auto pattern : {arrival_pattern::constant, arrival_pattern::poisson}) {
        const auto all = schedule_of(profile, pattern);
        EXPECT_EQ(between(all, 1s, 1h - 1s), 0);
        EXPECT_GT(between(all, 1h - 1s, 1h), 50);
    }
    profile.phases = {{1s, 0, 0}};
    EXPECT_TRUE(schedule_of(profile).empty());
}

TEST(an_arrival_schedule, ends_at_the_most_requests) {
    load_profile profile = load_profile::load(1000, 1s);
    profile.max_requests = 1000;
    bool is_cut = false;
    for (profile.seed = 1; profile.seed <= 20; ++profile.seed) {
        const auto size = arrival_schedule::size(profile);
        EXPECT_LE(size, 1000U);
        EXPECT_EQ(size, schedule_of(profile).size());
        load_profile wide = profile;
        wide.max_requests = 2000;
        is_cut = is_cut || arrival_schedule::size(wide) > 1000;
    }
    EXPECT_TRUE(is_cut) << "or nothing was tested";
}

TEST(a_load_profile, raises_a_stress_test_in_equal_steps) {
    const auto profile = load_profile::stress(1000, 4000, 8s, 4);
    ASSERT_EQ(profile.phases.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(profile.phases[i].length, 2s);
        EXPECT_DOUBLE_EQ(profile.phases[i].from_per_second, 1000.0 * static_cast<double>(i + 1));
        EXPECT_DOUBLE_EQ(profile.phases[i].to_per_second, profile.phases[i].from_per_second);
    }
    EXPECT_DOUBLE_EQ(load_profile::stress(1, 9, 1s, 1).phases.front().from_per_second, 9.0);
}

TEST(a_load_profile, returns_to_the_base_after_a_spike) {
    const auto all = schedule_of(load_profile::spike(100, 2000, 10s, 1s), arrival_pattern::constant);
    EXPECT_EQ(between(all, 0s, 10s), 1000);
    EXPECT_EQ(between(all, 10s, 11s), 2000);
    EXPECT_EQ(between(all, 11s, 21s), 1000);
}

TEST(a_load_profile, endures_for_an_hour_at_least) {
    EXPECT_DOUBLE_EQ(load_profile::endurance(100).expected_requests(), 100.0 * 8 * 3600);
    EXPECT_THROW(static_cast<void>(load_profile::endurance(1, 59min)), std::invalid_argument);
}

TEST(a_load_profile, is_always_bounded) {
    for (const auto& profile : {load_profile::load(1, 1s), load_profile::stress(1, 2, 1s),
                                load_profile::spike(1, 2, 1s, 1s), load_profile::endurance(1)}) {
        EXPECT_GE(static_cast<double>(profile.max_requests), profile.expected_requests());
        EXPECT_LT(static_cast<double>(profile.max_requests), 2 * profile.expected_requests() + 200);
        EXPECT_EQ(profile.max_time, 2 * profile.length());
    }
}

TEST(a_load_profile, is_refused_by_the_name_of_the_field) {
    const auto with = [](auto change) {
        load_profile profile = load_profile::load(10, 1s);
        change(profile);
        return refusal(profile);
    };
    EXPECT_EQ(with([](load_profile&) {}), "accepted");
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(with([](load_profile& p) { p.phases.clear(); }),
              "load_profile::phases.size() is 0; it must be in [1, 100000]");
    EXPECT_EQ(with([](load_profile& p) { p.phases.front().length = 0s; }),
              "load_profile::phases[0].length is 0 ns; it must be in (0, 30 days]");
    EXPECT_EQ(with([](load_profile& p) { p.phases.push_back({(duration::max)(), 0, 0}); }),
              "load_profile::phases[1].length is 9223372036854775807 ns; it must be in (0, 30 days]");
    EXPECT_EQ(with([](load_profile& p) { p.phases.front().from_per_second = -1; }),
              "load_profile::phases[0].from_per_second is -1; it must be in [0, 10000000]");
    EXPECT_EQ(with([&](load_profile& p) { p.phases.front().to_per_second = nan; }),
              "load_profile::phases[0].to_per_second is nan; it must be in [0, 10000000]");
    EXPECT_EQ(with([](load_profile& p) { p.max_requests = 0; }),
              "load_profile::max_requests is 0; it must be in [1, 100000000]");
    EXPECT_EQ(with([](load_profile& p) { p.max_requests = 9; }),
              "load_profile::max_requests is 9; it must be at least 10, what its phases have");
    EXPECT_EQ(with([](load_profile& p) { p.max_time = 0s; }),
              "load_profile::max_time is 0 ns; it must be in (0, 30 days]");
    EXPECT_EQ(with([](load_profile& p) { p.max_time = 999ms; }),
              "load_profile::max_time is 999000000 ns; it must be at least 1000000000 ns, the length of its "
              "phases");
    EXPECT_THROW(static_cast<void>(load_profile::load(-1, 1s)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(load_profile::load(1e6, 1h)), std::invalid_argument) << "3.6e9 requests";
    EXPECT_THROW(static_cast<void>(load_profile::stress(1, 2, 1s, 10'001)), std::invalid_argument);
}

}  // namespace
}  // namespace levee::testing
