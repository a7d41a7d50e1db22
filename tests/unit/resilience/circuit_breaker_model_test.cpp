// The breaker against a model that keeps everything and computes each answer from scratch.
#include "circuit_breaker_support.hpp"
#include "levee/core/random.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::circuit_breaker;
using levee::circuit_breaker_options;
using levee::circuit_state;
using levee::duration;
using levee::time_point;
using levee::uniform_below;
using enum circuit_state;

struct model_call {
    std::uint64_t generation;
    circuit_state admitted_as;
};

struct model {
    circuit_breaker_options options;
    circuit_state state = closed;
    std::uint64_t generation = 0;
    time_point opened{}, last_admitted{};
    int openings = 0;                                     // since closed
    std::vector<std::pair<time_point, bool>> outcomes{};  // of the closed state, with their time: failed?
    int running = 0, successes = 0;
    std::uint64_t failures = 0, refused = 0, late = 0, opened_count = 0;

    void enter(circuit_state to) {
        state = to;
        generation += 1;
        running = successes = 0;
        if (to == closed) {
            outcomes.clear();
            openings = 0;
        }
    }
    duration open_length() const {
        const duration cap = std::max(options.open_for, options.open_for_max);
        duration length = options.open_for;
        for (int i = 1; i < openings && length < cap; ++i) {
            const double grown = static_cast<double>(length.count()) * options.open_for_multiplier;
            length = std::min(cap, duration(static_cast<duration::rep>(grown)));
        }
        return length;
    }
    duration timeout() const {
        return options.half_open_timeout == 0ns ? options.open_for : options.half_open_timeout;
    }
    bool acquire(time_point now) {
        if (state == open && now >= opened + open_length()) {
            enter(half_open);
        }
        bool admit = state == closed || state == forced_closed;
        if (state == half_open) {
            if (running == static_cast<int>(options.half_open_calls) && now >= last_admitted + timeout()) {
                enter(half_open);
            }
            admit = running < static_cast<int>(options.half_open_calls);
            if (admit) {
                running += 1;
                last_admitted = now;
            }
        }
        refused += admit ? 0 : 1;
        return admit;
    }
    // Times of these walks only grow, so the newest outcome's slice is the window's last.
    bool too_many(time_point now) const {
        std::uint32_t row = 0;
        for (auto it = outcomes.rbegin(); it != outcomes.rend() && it->second; ++it) {
            row += 1;
        }
        if (options.failures_to_open > 0 && row >= options.failures_to_open) {
            return true;
        }
        if (options.failure_rate == 0.0) {
            return false;
        }
        // Slices are counted from the lowest time_point, whose distance from zero is 2^63 ns.
        const auto width = static_cast<std::uint64_t>(options.window.count()) / 10;
        const auto slice = [&](time_point t) {
            return (static_cast<std::uint64_t>(t.time_since_epoch().count()) + (1ULL << 63)) / width;
        };
        std::uint64_t calls = 0, failed = 0;
        for (const auto& [when, failure] : outcomes) {
            if (slice(when) + 10 > slice(now)) {
                calls += 1;
                failed += failure ? 1 : 0;
            }
        }
        return calls >= options.minimum_calls &&
               static_cast<double>(failed) >= options.failure_rate * static_cast<double>(calls);
    }
    void open_circuit(time_point now) {
        opened = now;
        openings += 1;
        opened_count += 1;
        const int kept = openings;
        enter(open);
        openings = kept;
    }
    void report(const model_call& call, bool failed, time_point now) {
        if (call.generation != generation) {
            late += 1;
            return;
        }
        failures += failed ? 1 : 0;
        if (state == closed) {
            outcomes.emplace_back(now, failed);
            if (failed && too_many(now)) {
                open_circuit(now);
            }
        } else if (state == half_open) {
            if (failed) {
                open_circuit(now);
            } else {
                running -= 1;
                successes += 1;
                if (successes == static_cast<int>(options.successes_to_close)) {
                    enter(closed);
                }
            }
        }
    }
    void cancel(const model_call& call) {
        if (call.generation == generation && state == half_open) {
            running -= 1;
        }
    }
    circuit_state seen(time_point now) const {
        return state == open && now >= opened + open_length() ? half_open : state;
    }
    time_point next_attempt_at() const {
        switch (state) {
            case open:
                return opened + open_length();
            case half_open:
                return running < static_cast<int>(options.half_open_calls) ? time_point::min()
                                                                           : last_admitted + timeout();
            case forced_open:
                return time_point::max();
            default:
                return time_point::min();
        }
    }
};

circuit_breaker_options random_options(levee::xoshiro256& random) {
    circuit_breaker_options options{
        .failures_to_open = static_cast<std::uint32_t>(uniform_below(random, 5)),
        .failure_rate =
            uniform_below(random, 2) == 0 ? 0.0 : 0.1 * static_cast<double>(1 + uniform_below(random, 10)),
        .window = 1s * (1 + uniform_below(random, 10)),
        .minimum_calls = static_cast<std::uint32_t>(1 + uniform_below(random, 10)),
        .open_for = 1ms * (1 + uniform_below(random, 5000)),
        .open_for_max = 0s,
        .open_for_multiplier = static_cast<double>(1 + uniform_below(random, 3)),  // whole: exact in both
        .half_open_calls = static_cast<std::uint32_t>(1 + uniform_below(random, 3)),
        .successes_to_close = static_cast<std::uint32_t>(1 + uniform_below(random, 4)),
        .half_open_timeout = 1ms * uniform_below(random, 2000)};
    if (options.failures_to_open == 0 && options.failure_rate == 0.0) {
        options.failures_to_open = 3;
    }
    if (uniform_below(random, 2) == 0) {
        options.open_for_max = options.open_for * static_cast<int>(1 + uniform_below(random, 8));
    }
    return options;
}

struct walk_result {
    std::uint64_t half_open_seen = 0, refused = 0, late = 0, opened = 0, rounds = 0;
};

void walk(std::uint64_t seed, walk_result& reached) {
    levee::xoshiro256 random(seed);
    const auto options = random_options(random);
    circuit_breaker breaker(options);
    model expected{.options = options};
    std::vector<std::pair<circuit_breaker::permit, model_call>> running;
    time_point now{1h};
    const auto failing = 1 + uniform_below(random, 9);  // of ten outcomes
    for (int step = 0; step < 2000; ++step) {
        now += 1us * uniform_below(random, 400'000);
        const auto choice = uniform_below(random, 1000);
        if (choice < 400 || (running.empty() && choice < 990)) {
            const auto before = expected.generation;
            auto permit = breaker.try_acquire(now);
            const bool admit = expected.acquire(now);
            ASSERT_EQ(static_cast<bool>(permit), admit) << step;
            if (admit) {
                running.emplace_back(std::move(permit), model_call{expected.generation, expected.state});
                reached.rounds += before + 1 == expected.generation && !permit.transition() ? 1 : 0;
            }
        } else if (choice < 990) {
            const auto at = static_cast<std::ptrdiff_t>(uniform_below(random, running.size()));
            auto [permit, call] = std::move(running[static_cast<std::size_t>(at)]);
            running.erase(running.begin() + at);
            const auto state_before = expected.state;
            levee::circuit_transition change{};
            if (choice > 950) {
                permit.cancel();
                expected.cancel(call);
            } else {
                const bool failed = uniform_below(random, 10) < failing;
                change = failed ? permit.record_failure(now) : permit.record_success(now);
                expected.report(call, failed, now);
            }
            ASSERT_EQ(static_cast<bool>(change), state_before != expected.state) << step;
            if (change) {
                ASSERT_EQ(change, (levee::circuit_transition{state_before, expected.state})) << step;
            }
        } else if (choice < 992) {
            if (breaker.force_open()) {
                expected.enter(forced_open);
            }
        } else if (choice < 994) {
            if (breaker.force_close()) {
                expected.enter(forced_closed);
            }
        } else {
            breaker.reset();
            expected.enter(closed);
        }
        ASSERT_EQ(breaker.state(now), expected.seen(now)) << step;
        ASSERT_EQ(breaker.next_attempt_at(), expected.next_attempt_at()) << step;
        reached.half_open_seen += expected.state == half_open ? 1 : 0;
    }
    const auto stats = breaker.stats();
    EXPECT_EQ(stats.failures, expected.failures);
    EXPECT_EQ(stats.refused, expected.refused);
    EXPECT_EQ(stats.late, expected.late);
    EXPECT_EQ(stats.opened, expected.opened_count);
    reached.refused += stats.refused;
    reached.late += stats.late;
    reached.opened += stats.opened;
}

TEST(circuit_breaker_model, random_walks_agree_with_the_model) {
    walk_result reached;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(seed);
        walk(seed, reached);
        if (HasFatalFailure()) {
            return;
        }
    }
    // The walks are worth something only if they came everywhere.
    EXPECT_GT(reached.half_open_seen, 10'000u);
    EXPECT_GT(reached.refused, 10'000u);
    EXPECT_GT(reached.late, 1'000u);
    EXPECT_GT(reached.opened, 1'000u);
    EXPECT_GT(reached.rounds, 100u);
}

}  // namespace
