#include "levee/resilience/backoff.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::backoff;
using levee::backoff_ceiling;
using levee::backoff_delay;
using levee::backoff_growth;
using levee::backoff_jitter;
using levee::backoff_options;
using levee::duration;

constexpr std::uint64_t most_attempts = std::numeric_limits<std::uint64_t>::max();

TEST(backoff_ceiling, doubles_from_initial_to_max_by_default) {
    const std::array<duration, 11> expected{10ms,  20ms,   40ms,   80ms,   160ms, 320ms,
                                            640ms, 1280ms, 2560ms, 5000ms, 5000ms};
    for (std::size_t attempt = 0; attempt < expected.size(); ++attempt) {
        EXPECT_EQ(backoff_ceiling({}, attempt), expected[attempt]) << attempt;
    }
}

TEST(backoff_ceiling, grows_by_one_initial_an_attempt_when_linear) {
    const backoff_options ejection{.initial = 30s, .max = 300s, .growth = backoff_growth::linear};
    for (std::uint64_t attempt = 0; attempt < 10; ++attempt) {
        EXPECT_EQ(backoff_ceiling(ejection, attempt), 30s * (attempt + 1));
    }
    EXPECT_EQ(backoff_ceiling(ejection, 10), 300s);
}

TEST(backoff_ceiling, stays_at_initial_when_the_multiplier_is_one) {
    const backoff_options constant{.initial = 7ms, .max = 1h, .multiplier = 1.0};
    for (const std::uint64_t attempt :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, most_attempts}) {
        EXPECT_EQ(backoff_ceiling(constant, attempt), 7ms);
    }
}

TEST(backoff_ceiling, never_shrinks_and_never_leaves_its_range_at_any_attempt) {
    constexpr std::array initials{duration(1), duration(3), duration(10ms), duration::max()};
    constexpr std::array maxima{duration(10ms), duration(5s), duration::max()};
    for (const duration initial : initials) {
        for (const duration max : maxima) {
            for (const double multiplier : {1.0, 1.0001, 1.5, 2.0, 100.0}) {
                for (const auto growth : {backoff_growth::exponential, backoff_growth::linear}) {
                    if (max < initial) {
                        continue;
                    }
                    const backoff_options options{initial, max, multiplier, growth, backoff_jitter::none};
                    duration before = initial;
                    std::uint64_t attempt = 0;
                    for (;;) {
                        const duration now = backoff_ceiling(options, attempt);
                        ASSERT_GE(now, before) << attempt;
                        ASSERT_LE(now, max) << attempt;
                        before = now;
                        if (attempt == most_attempts) {
                            break;
                        }
                        attempt = attempt > most_attempts / 2 ? most_attempts : attempt + attempt / 4 + 1;
                    }
                    const bool grows = growth == backoff_growth::linear || multiplier > 1.0;
                    EXPECT_EQ(before, grows ? max : initial);
                }
            }
        }
    }
}

TEST(backoff_delay, maps_chance_onto_the_range_that_the_jitter_leaves) {
    backoff_options options{.initial = 100ms, .max = 100ms};
    EXPECT_EQ(backoff_delay(options, 0, 0.0), 0ms);
    EXPECT_EQ(backoff_delay(options, 0, 0.25), 25ms);
    options.jitter = backoff_jitter::equal;
    EXPECT_EQ(backoff_delay(options, 0, 0.0), 50ms);
    EXPECT_EQ(backoff_delay(options, 0, 0.5), 75ms);
    options.jitter = backoff_jitter::none;
    EXPECT_EQ(backoff_delay(options, 0, 0.0), 100ms);
    EXPECT_EQ(backoff_delay(options, 0, 0.75), 100ms);
}

TEST(backoff_delay, does_not_overflow_at_the_longest_duration) {
    const double almost_one = std::nextafter(1.0, 0.0);
    for (const auto jitter : {backoff_jitter::full, backoff_jitter::equal, backoff_jitter::none}) {
        const backoff_options options{.initial = 1ns, .max = duration::max(), .jitter = jitter};
        const duration delay = backoff_delay(options, most_attempts, almost_one);
        EXPECT_GT(delay, duration::max() / 4 * 3);
    }
}

TEST(backoff, counts_attempts_and_starts_again_after_reset) {
    backoff wait({.jitter = backoff_jitter::none}, 1);
    EXPECT_EQ(wait.attempts(), 0u);
    EXPECT_EQ(wait.next(), 10ms);
    EXPECT_EQ(wait.next(), 20ms);
    EXPECT_EQ(wait.next(), 40ms);
    EXPECT_EQ(wait.attempts(), 3u);
    EXPECT_EQ(wait.ceiling(), 80ms);
    wait.reset();
    EXPECT_EQ(wait.attempts(), 0u);
    EXPECT_EQ(wait.next(), 10ms);
}

TEST(backoff, forgets_one_attempt_for_each_decay_and_none_below_zero) {
    backoff ejected(
        {.initial = 30s, .max = 300s, .growth = backoff_growth::linear, .jitter = backoff_jitter::none}, 1);
    EXPECT_EQ(ejected.next(), 30s);
    EXPECT_EQ(ejected.next(), 60s);
    ejected.decay();
    EXPECT_EQ(ejected.ceiling(), 60s);
    ejected.decay();
    ejected.decay();
    EXPECT_EQ(ejected.attempts(), 0u);
    EXPECT_EQ(ejected.next(), 30s);
}

TEST(backoff, repeats_with_the_same_seed_and_differs_with_another) {
    backoff one({}, 42);
    backoff same({}, 42);
    backoff other({}, 43);
    bool differs = false;
    for (int i = 0; i < 20; ++i) {
        const duration wait = one.next();
        EXPECT_EQ(wait, same.next());
        differs |= wait != other.next();
    }
    EXPECT_TRUE(differs);
}

TEST(backoff, does_not_repeat_its_waits_after_reset) {
    backoff wait({}, 42);
    const duration first = wait.next();
    wait.reset();
    EXPECT_NE(wait.next(), first);
}

// Ten bins over the range: with 100,000 draws the share of a bin has a standard deviation of 0.1 %.
void expect_even(backoff_jitter jitter, duration low, duration high) {
    backoff wait({.initial = 1s, .max = 1s, .jitter = jitter}, 7);
    std::array<int, 10> bins{};
    constexpr int draws = 100'000;
    for (int i = 0; i < draws; ++i) {
        const duration drawn = wait.next();
        ASSERT_GE(drawn, low);
        ASSERT_LE(drawn, high);
        const auto bin = static_cast<std::size_t>((drawn - low).count() * 10 / (high - low).count());
        bins[std::min<std::size_t>(bin, 9)] += 1;
    }
    for (const int bin : bins) {
        EXPECT_NEAR(bin, draws / 10, draws / 200);
    }
}

TEST(backoff, spreads_evenly_over_the_range_of_its_jitter) {
    expect_even(backoff_jitter::full, 0s, 1s);
    expect_even(backoff_jitter::equal, 500ms, 1s);
}

struct wrong_options {
    backoff_options options;
    std::string message;
};

TEST(backoff, refuses_wrong_options_naming_field_value_and_range) {
    const std::vector<wrong_options> table{
        {{.initial = 0ns}, "backoff_options::initial is 0 ns; it must be above zero"},
        {{.initial = -5ns}, "backoff_options::initial is -5 ns; it must be above zero"},
        {{.initial = 2s, .max = 1s}, "backoff_options::max is 1000000000 ns; it must be at least `initial`"},
        {{.multiplier = 0.5}, "backoff_options::multiplier is 0.5; it must be in [1, 100]"},
        {{.multiplier = 101.0}, "backoff_options::multiplier is 101; it must be in [1, 100]"},
        {{.multiplier = std::nan("")}, "backoff_options::multiplier is nan; it must be in [1, 100]"},
        {{.growth = static_cast<backoff_growth>(9)},
         "backoff_options::growth is 9; it must be one of the enumerators"},
        {{.jitter = static_cast<backoff_jitter>(9)},
         "backoff_options::jitter is 9; it must be one of the enumerators"},
    };
    for (const auto& [options, message] : table) {
        try {
            const backoff wait(options, 1);
            ADD_FAILURE() << "accepted: " << message;
        } catch (const std::invalid_argument& refused) {
            EXPECT_EQ(refused.what(), message);
        }
    }
}

}  // namespace
