#include "levee/resilience/retry_budget.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;
using levee::retry_budget;
using levee::retry_budget_options;
using levee::time_point;

constexpr time_point start{1h};

int spend_all(retry_budget& budget, time_point now) {
    int spent = 0;
    while (spent < 1'000'000 && budget.try_spend(now)) {
        ++spent;
    }
    return spent;
}

void record(retry_budget& budget, int times, time_point now) {
    for (int i = 0; i < times; ++i) {
        budget.record_request(now);
    }
}

TEST(retry_budget, allows_a_fifth_of_the_requests_and_ten_a_second) {
    retry_budget budget;
    EXPECT_EQ(budget.available(start), 100.0);
    record(budget, 1'000, start);
    EXPECT_EQ(spend_all(budget, start), 100 + 200);
    EXPECT_EQ(budget.available(start), 0.0);
}

TEST(retry_budget, in_a_full_outage_retries_stay_a_fifth) {
    retry_budget budget({.minimum_a_second = 0});
    int retries = 0;
    time_point now = start;
    for (int i = 0; i < 100'000; ++i, now += 1ms) {
        budget.record_request(now);
        retries += spend_all(budget, now);
    }
    EXPECT_NEAR(retries, 20'000, 200);
}

TEST(retry_budget, forgets_requests_and_retries_after_the_window) {
    retry_budget budget({.share = 0.5, .minimum_a_second = 0, .window = 10s});
    record(budget, 100, start);
    EXPECT_EQ(spend_all(budget, start + 5s), 50);
    record(budget, 100, start + 9s);
    EXPECT_EQ(spend_all(budget, start + 9s), 50);
    EXPECT_EQ(budget.available(start + 10s), 0.0) << "requests of the first second are gone, retries are not";
    EXPECT_EQ(spend_all(budget, start + 15s), 0) << "100 requests, 50 retries: all spent";
    record(budget, 10, start + 15s);
    EXPECT_EQ(spend_all(budget, start + 15s), 5);
    EXPECT_EQ(budget.available(start + 1h), 0.0);
}

TEST(retry_budget, old_counts_are_not_taken_for_new_ones_however_long_it_slept) {
    retry_budget budget({.share = 1, .minimum_a_second = 0, .window = 10s});
    record(budget, 100, start);
    for (int part = 1; part < 40; ++part) {
        EXPECT_EQ(budget.available(start + part * 11s), 0.0) << part;
    }
}

TEST(retry_budget, leave_that_was_not_used_can_be_given_back) {
    retry_budget budget({.share = 0, .minimum_a_second = 1, .window = 1s});
    EXPECT_TRUE(budget.try_spend(start));
    EXPECT_FALSE(budget.try_spend(start));
    budget.give_back(start + 500ms);
    EXPECT_TRUE(budget.try_spend(start + 500ms));
    budget.give_back(start + 1h);
    EXPECT_EQ(budget.available(start + 1h), 1.0) << "never more than there is";
}

TEST(retry_budget, adds_up_the_requests_of_all_threads) {
    retry_budget budget({.share = 1, .minimum_a_second = 0});
    std::thread other([&] { record(budget, 30, start); });
    record(budget, 20, start);
    other.join();
    EXPECT_EQ(budget.available(start), 50.0);
}

TEST(retry_budget, a_share_that_is_not_exact_in_binary_counts_as_it_reads) {
    retry_budget budget({.share = 0.1, .minimum_a_second = 0});
    record(budget, 30, start);
    EXPECT_EQ(spend_all(budget, start), 3);
}

TEST(retry_budget, refuses_wrong_options) {
    EXPECT_THROW(retry_budget({.share = -1}), std::invalid_argument);
    EXPECT_THROW(retry_budget({.share = std::nan("")}), std::invalid_argument);
    EXPECT_THROW(retry_budget({.minimum_a_second = -1}), std::invalid_argument);
    EXPECT_THROW(retry_budget({.window = 0s}), std::invalid_argument);
}

}  // namespace
