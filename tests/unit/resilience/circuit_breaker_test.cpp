#include "levee/resilience/circuit_breaker.hpp"

#include "circuit_breaker_support.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::circuit_breaker;
using levee::circuit_breaker_options;
using levee::circuit_state;
using levee::circuit_transition;
using levee::duration;
using levee::fail_times;
using levee::time_point;

constexpr time_point start{1000s};

using enum circuit_state;

// ---- closed → open ----------------------------------------------------------------------------------

TEST(circuit_breaker, opens_after_five_failures_in_a_row_by_default) {
    circuit_breaker breaker;
    fail_times(breaker, 4, start);
    EXPECT_EQ(breaker.state(start), closed);
    EXPECT_EQ(breaker.try_acquire(start).record_failure(start), (circuit_transition{closed, open}));
    EXPECT_FALSE(breaker.try_acquire(start));
    EXPECT_EQ(breaker.next_attempt_at(), start + 5s);
    EXPECT_EQ(breaker.stats().failures, 5u);
    EXPECT_EQ(breaker.stats().refused, 1u);
    EXPECT_EQ(breaker.stats().opened, 1u);
}

TEST(circuit_breaker, a_success_ends_the_row_of_failures) {
    circuit_breaker breaker;
    for (int i = 0; i < 100; ++i) {
        fail_times(breaker, 4, start);
        breaker.try_acquire(start).record_success(start);
    }
    EXPECT_EQ(breaker.state(start), closed);
}

TEST(circuit_breaker, cancelled_calls_neither_end_nor_lengthen_the_row) {
    circuit_breaker breaker;
    fail_times(breaker, 4, start);
    breaker.try_acquire(start).cancel();
    {
        const auto dropped = breaker.try_acquire(start);
    }
    EXPECT_EQ(breaker.state(start), closed);
    fail_times(breaker, 1, start);
    EXPECT_EQ(breaker.state(start), open);
}

TEST(circuit_breaker, reset_forgets_the_row_of_failures) {
    circuit_breaker breaker;
    fail_times(breaker, 4, start);
    breaker.reset();
    fail_times(breaker, 4, start);
    EXPECT_EQ(breaker.state(start), closed);
}

constexpr circuit_breaker_options half_of_ten{
    .failures_to_open = 0, .failure_rate = 0.5, .window = 10s, .minimum_calls = 10};

TEST(circuit_breaker, opens_at_the_failure_rate_once_there_are_enough_calls) {
    circuit_breaker breaker(half_of_ten);
    fail_times(breaker, 4, start);
    for (int i = 0; i < 5; ++i) {
        breaker.try_acquire(start).record_success(start);
    }
    EXPECT_EQ(breaker.state(start), closed) << "9 calls are too few";
    fail_times(breaker, 1, start);
    EXPECT_EQ(breaker.state(start), open) << "5 of 10";
}

TEST(circuit_breaker, stays_closed_below_the_failure_rate) {
    circuit_breaker breaker(half_of_ten);
    for (int i = 0; i < 1000; ++i) {
        breaker.try_acquire(start).record_success(start);
        breaker.try_acquire(start).record_success(start);
        fail_times(breaker, 1, start);
    }
    EXPECT_EQ(breaker.state(start), closed);
}

TEST(circuit_breaker, failures_older_than_the_window_do_not_count) {
    circuit_breaker breaker(half_of_ten);
    fail_times(breaker, 9, start);
    fail_times(breaker, 9, start + 10s);
    EXPECT_EQ(breaker.state(start + 10s), closed);
    fail_times(breaker, 1, start + 18s);
    EXPECT_EQ(breaker.state(start + 18s), open) << "the later nine are still in the window";
}

TEST(circuit_breaker, a_clock_that_steps_back_neither_loses_failures_nor_opens_twice) {
    circuit_breaker breaker(half_of_ten);
    fail_times(breaker, 5, start + 9s);
    fail_times(breaker, 5, start);
    EXPECT_EQ(breaker.state(start), open);
    EXPECT_FALSE(breaker.try_acquire(start - 100s));
    EXPECT_EQ(breaker.stats().opened, 1u);
}

// ---- open → half-open → closed or open --------------------------------------------------------------

TEST(circuit_breaker, stays_open_until_the_very_end_of_its_time) {
    circuit_breaker breaker;
    fail_times(breaker, 5, start);
    EXPECT_FALSE(breaker.try_acquire(start + 5s - 1ns));
    EXPECT_EQ(breaker.state(start + 5s - 1ns), open);
    EXPECT_EQ(breaker.state(start + 5s), half_open);
    const auto probe = breaker.try_acquire(start + 5s);
    EXPECT_TRUE(probe);
    EXPECT_EQ(probe.transition(), (circuit_transition{open, half_open}));
}

TEST(circuit_breaker, admits_no_more_than_its_number_while_half_open) {
    circuit_breaker breaker({.failures_to_open = 1, .half_open_calls = 3, .successes_to_close = 100});
    fail_times(breaker, 1, start);
    const auto later = start + 5s;
    std::vector<circuit_breaker::permit> held;
    for (int i = 0; i < 10; ++i) {
        if (auto permit = breaker.try_acquire(later)) {
            held.push_back(std::move(permit));
        }
    }
    EXPECT_EQ(held.size(), 3u);
    EXPECT_EQ(breaker.next_attempt_at(), later + 5s);
    held.pop_back();  // cancelled
    EXPECT_EQ(breaker.next_attempt_at(), time_point::min());
    EXPECT_TRUE(breaker.try_acquire(later));
    held.back().record_success(later);
    EXPECT_TRUE(breaker.try_acquire(later)) << "a success frees its place as well";
}

TEST(circuit_breaker, closes_after_the_successes_asked_for) {
    circuit_breaker breaker({.failures_to_open = 1, .successes_to_close = 3});
    fail_times(breaker, 1, start);
    const auto later = start + 5s;
    EXPECT_FALSE(breaker.try_acquire(later).record_success(later));
    EXPECT_FALSE(breaker.try_acquire(later).record_success(later));
    EXPECT_EQ(breaker.try_acquire(later).record_success(later), (circuit_transition{half_open, closed}));
}

TEST(circuit_breaker, one_failure_while_half_open_opens_and_voids_the_successes_before) {
    circuit_breaker breaker({.failures_to_open = 1, .successes_to_close = 2});
    fail_times(breaker, 1, start);
    breaker.try_acquire(start + 5s).record_success(start + 5s);
    EXPECT_EQ(breaker.try_acquire(start + 5s).record_failure(start + 6s),
              (circuit_transition{half_open, open}));
    EXPECT_EQ(breaker.next_attempt_at(), start + 11s);
    EXPECT_FALSE(breaker.try_acquire(start + 11s).record_success(start + 11s));
    EXPECT_EQ(breaker.state(start + 11s), half_open);
}

TEST(circuit_breaker, stays_open_longer_each_time_until_it_has_closed) {
    circuit_breaker breaker({.failures_to_open = 1, .open_for = 5s, .open_for_max = 15s});
    fail_times(breaker, 1, start);
    auto now = start;
    for (const duration expected : {5s, 10s, 15s, 15s}) {
        ASSERT_EQ(breaker.next_attempt_at() - now, expected);
        now = breaker.next_attempt_at();
        fail_times(breaker, 1, now);
    }
    now = breaker.next_attempt_at();
    breaker.try_acquire(now).record_success(now);
    fail_times(breaker, 1, now);
    EXPECT_EQ(breaker.next_attempt_at() - now, 5s) << "it had closed";
}

// ---- late, silent and dropped calls -----------------------------------------------------------------

TEST(circuit_breaker, failures_of_calls_begun_before_the_opening_do_not_reopen_it) {
    circuit_breaker breaker;
    std::vector<circuit_breaker::permit> slow;
    for (int i = 0; i < 20; ++i) {
        slow.push_back(breaker.try_acquire(start));
    }
    fail_times(breaker, 5, start);
    const auto later = start + 5s;
    auto probe = breaker.try_acquire(later);
    for (int i = 0; i < 10; ++i) {
        slow.back().record_failure(later);
        slow.pop_back();
    }
    EXPECT_EQ(breaker.state(later), half_open);
    EXPECT_EQ(probe.record_success(later), (circuit_transition{half_open, closed}));
    for (auto& permit : slow) {
        permit.record_failure(later);
    }
    EXPECT_EQ(breaker.state(later), closed);
    EXPECT_EQ(breaker.stats().late, 20u);
}

TEST(circuit_breaker, a_success_of_a_call_begun_before_the_opening_does_not_close_it) {
    circuit_breaker breaker;
    auto slow = breaker.try_acquire(start);
    fail_times(breaker, 5, start);
    const auto probe = breaker.try_acquire(start + 5s);
    EXPECT_FALSE(slow.record_success(start + 5s));
    EXPECT_EQ(breaker.state(start + 5s), half_open);
}

TEST(circuit_breaker, silent_half_open_calls_give_way_after_the_timeout) {
    circuit_breaker breaker(
        {.failures_to_open = 1, .open_for = 5s, .successes_to_close = 2, .half_open_timeout = 3s});
    fail_times(breaker, 1, start);
    auto silent = breaker.try_acquire(start + 5s);
    EXPECT_FALSE(breaker.try_acquire(start + 8s - 1ns));
    auto next = breaker.try_acquire(start + 8s);
    ASSERT_TRUE(next);
    EXPECT_FALSE(silent.record_failure(start + 8s)) << "it was given up";
    EXPECT_EQ(breaker.state(start + 8s), half_open);
    EXPECT_FALSE(breaker.try_acquire(start + 8s)) << "and its place was not freed twice";
    next.record_success(start + 8s);
    EXPECT_EQ(breaker.try_acquire(start + 8s).record_success(start + 8s),
              (circuit_transition{half_open, closed}));
}

TEST(circuit_breaker, places_of_a_round_are_free_while_one_of_its_calls_reports) {
    circuit_breaker breaker({.failures_to_open = 1, .half_open_calls = 2, .successes_to_close = 3});
    fail_times(breaker, 1, start);
    auto now = start + 5s;
    const auto silent = breaker.try_acquire(now);
    for (int i = 0; i < 3; ++i) {
        now += 4s;
        breaker.try_acquire(now).record_success(now);
    }
    EXPECT_EQ(breaker.state(now), closed) << "one silent call must not hold up the others";
}

TEST(circuit_breaker, an_outcome_is_counted_once) {
    circuit_breaker breaker({.failures_to_open = 2});
    auto permit = breaker.try_acquire(start);
    EXPECT_TRUE(permit);
    permit.record_failure(start);
    EXPECT_FALSE(permit);
    permit.record_failure(start);
    permit.cancel();
    EXPECT_EQ(breaker.state(start), closed);
    EXPECT_EQ(breaker.stats().failures, 1u);
    EXPECT_EQ(breaker.stats().late, 0u);
}

TEST(circuit_breaker, a_moved_permit_reports_once_and_an_overwritten_one_is_cancelled) {
    circuit_breaker breaker({.failures_to_open = 1});
    fail_times(breaker, 1, start);
    auto first = breaker.try_acquire(start + 5s);
    auto second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): empty is what a moved permit promises to be
    EXPECT_TRUE(second);
    EXPECT_FALSE(breaker.try_acquire(start + 5s)) << "the move freed no place";
    second = circuit_breaker::permit();
    EXPECT_TRUE(breaker.try_acquire(start + 5s));
}

TEST(circuit_breaker, an_exception_in_the_call_frees_the_half_open_place) {
    circuit_breaker breaker({.failures_to_open = 1});
    fail_times(breaker, 1, start);
    try {
        const auto permit = breaker.try_acquire(start + 5s);
        throw std::runtime_error("the call");
    } catch (const std::runtime_error&) {
    }
    EXPECT_TRUE(breaker.try_acquire(start + 5s));
}

// ---- forced, extremes, options ----------------------------------------------------------------------

TEST(circuit_breaker, forced_states_hold_whatever_happens_until_reset) {
    circuit_breaker breaker({.failures_to_open = 1});
    breaker.force_open();
    EXPECT_FALSE(breaker.try_acquire(time_point::max()));
    EXPECT_EQ(breaker.next_attempt_at(), time_point::max());
    breaker.force_close();
    fail_times(breaker, 100, start);
    EXPECT_TRUE(breaker.try_acquire(start));
    EXPECT_EQ(breaker.next_attempt_at(), time_point::min());
    EXPECT_EQ(breaker.stats().failures, 100u);
    breaker.reset();
    EXPECT_EQ(breaker.state(start), closed);
    fail_times(breaker, 1, start);
    EXPECT_EQ(breaker.state(start), open);
}

TEST(circuit_breaker, works_at_the_ends_of_the_time_line) {
    for (const time_point now : {time_point::min(), time_point{}, time_point::max()}) {
        circuit_breaker breaker({.failures_to_open = 1, .failure_rate = 0.5, .minimum_calls = 1});
        fail_times(breaker, 1, now);
        EXPECT_EQ(breaker.next_attempt_at(), levee::after(now, 5s));
    }
    circuit_breaker forever({.failures_to_open = 1, .open_for = duration::max()});
    fail_times(forever, 1, start);
    EXPECT_FALSE(forever.try_acquire(time_point::max() - 1ns));
}

struct wrong_options {
    circuit_breaker_options options;
    std::string message;
};

TEST(circuit_breaker, refuses_wrong_options_naming_field_value_and_range) {
    const std::string prefix = "circuit_breaker_options::";
    const std::vector<wrong_options> wrong{
        {{.failures_to_open = 0},
         "failures_to_open is 0; it must be at least 1 where failure_rate is 0, or the circuit would never "
         "open"},
        {{.failure_rate = 1.5}, "failure_rate is 1.5; it must be in [0, 1]"},
        {{.failure_rate = -0.5}, "failure_rate is -0.5; it must be in [0, 1]"},
        {{.failure_rate = std::nan("")}, "failure_rate is nan; it must be in [0, 1]"},
        {{.window = 1us}, "window is 1000 ns; it must be at least 1 ms"},
        {{.minimum_calls = 0}, "minimum_calls is 0; it must be at least 1"},
        {{.open_for = 0s}, "open_for is 0 ns; it must be above zero"},
        {{.open_for = 2ns, .open_for_max = 1ns},
         "open_for_max is 1 ns; it must be zero or at least `open_for`"},
        {{.open_for_multiplier = 0.9}, "open_for_multiplier is 0.9; it must be in [1, 100]"},
        {{.half_open_calls = 0}, "half_open_calls is 0; it must be at least 1"},
        {{.successes_to_close = 0}, "successes_to_close is 0; it must be at least 1"},
        {{.half_open_timeout = -1ns}, "half_open_timeout is -1 ns; it must be zero or above"},
    };
    for (const auto& [options, message] : wrong) {
        try {
            const circuit_breaker breaker(options);
            ADD_FAILURE() << "accepted: " << message;
        } catch (const std::invalid_argument& refused) {
            EXPECT_EQ(refused.what(), prefix + message);
        }
    }
}

}  // namespace
