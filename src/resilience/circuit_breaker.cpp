#include "levee/resilience/circuit_breaker.hpp"

#include "levee/resilience/backoff.hpp"
#include "resilience/option_error.hpp"

#include <algorithm>

namespace levee {
namespace {

// Half-open calls that never report are given up on after this long.
duration round_length(const circuit_breaker_options& options) noexcept {
    return options.half_open_timeout > duration::zero() ? options.half_open_timeout : options.open_for;
}

duration open_length(const circuit_breaker_options& options, std::uint64_t openings_before) noexcept {
    return backoff_ceiling({.initial = options.open_for,
                            .max = std::max(options.open_for, options.open_for_max),
                            .multiplier = options.open_for_multiplier,
                            .growth = backoff_growth::exponential,
                            .jitter = backoff_jitter::none},
                           openings_before);
}

}  // namespace

void validate(const circuit_breaker_options& options) {
    using resilience_detail::option_text;
    using resilience_detail::refuse_option;
    if (!(options.failure_rate >= 0.0 && options.failure_rate <= 1.0)) {  // written so that NaN is refused
        refuse_option("circuit_breaker_options::failure_rate", option_text(options.failure_rate),
                      "in [0, 1]");
    }
    if (options.failures_to_open == 0 && options.failure_rate == 0.0) {
        refuse_option("circuit_breaker_options::failures_to_open", "0",
                      "at least 1 where failure_rate is 0, or the circuit would never open");
    }
    if (options.window < std::chrono::milliseconds(1)) {
        refuse_option("circuit_breaker_options::window", option_text(options.window), "at least 1 ms");
    }
    if (options.minimum_calls == 0) {
        refuse_option("circuit_breaker_options::minimum_calls", "0", "at least 1");
    }
    if (options.open_for <= duration::zero()) {
        refuse_option("circuit_breaker_options::open_for", option_text(options.open_for), "above zero");
    }
    if (options.open_for_max != duration::zero() && options.open_for_max < options.open_for) {
        refuse_option("circuit_breaker_options::open_for_max", option_text(options.open_for_max),
                      "zero or at least `open_for`");
    }
    if (!(options.open_for_multiplier >= 1.0 && options.open_for_multiplier <= 100.0)) {
        refuse_option("circuit_breaker_options::open_for_multiplier",
                      option_text(options.open_for_multiplier), "in [1, 100]");
    }
    if (options.half_open_calls == 0) {
        refuse_option("circuit_breaker_options::half_open_calls", "0", "at least 1");
    }
    if (options.successes_to_close == 0) {
        refuse_option("circuit_breaker_options::successes_to_close", "0", "at least 1");
    }
    if (options.half_open_timeout < duration::zero()) {
        refuse_option("circuit_breaker_options::half_open_timeout", option_text(options.half_open_timeout),
                      "zero or above");
    }
}

circuit_breaker::circuit_breaker(const circuit_breaker_options& options)
    : options_((validate(options), options)), recent_(options.window) {}

circuit_breaker::permit circuit_breaker::try_acquire(time_point now) {
    const word seen = word_.load(std::memory_order_acquire);
    switch (state_of(seen)) {
        case circuit_state::closed:
        case circuit_state::forced_closed:
            return {this, seen, {}};
        case circuit_state::forced_open:
            counters_.refused.fetch_add(1, std::memory_order_relaxed);
            return {};
        case circuit_state::open:
            // While the server is down every caller comes here: refuse without the mutex. The acquire pairs
            // with open_locked: if the time belongs to a later opening, then the word is seen to differ.
            if (now.time_since_epoch().count() < open_until_.load(std::memory_order_acquire) &&
                word_.load(std::memory_order_relaxed) == seen) {
                counters_.refused.fetch_add(1, std::memory_order_relaxed);
                return {};
            }
            break;
        case circuit_state::half_open:
            break;
    }
    const std::lock_guard lock(mutex_);
    return acquire_locked(now);
}

circuit_breaker::permit circuit_breaker::acquire_locked(time_point now) {
    circuit_transition transition{};
    const word current = word_.load(std::memory_order_relaxed);
    switch (state_of(current)) {
        case circuit_state::closed:
        case circuit_state::forced_closed:
            return {this, current, {}};
        case circuit_state::forced_open:
            counters_.refused.fetch_add(1, std::memory_order_relaxed);
            return {};
        case circuit_state::open:
            if (now.time_since_epoch().count() < open_until_.load(std::memory_order_relaxed)) {
                counters_.refused.fetch_add(1, std::memory_order_relaxed);
                return {};
            }
            transition = enter_locked(circuit_state::half_open);
            break;
        case circuit_state::half_open:
            if (half_open_running_ < options_.half_open_calls) {
                break;
            }
            if (now < half_open_round_ends_) {
                counters_.refused.fetch_add(1, std::memory_order_relaxed);
                return {};
            }
            enter_locked(circuit_state::half_open);  // a new generation: the silent calls no longer count
            break;
    }
    half_open_running_ += 1;
    half_open_round_ends_ = after(now, round_length(options_));
    return {this, word_.load(std::memory_order_relaxed), transition};
}

circuit_transition circuit_breaker::record(word admitted_in, bool failed, time_point now) {
    // What a healthy service does all the time ends here, with no store and no lock.
    const bool plain = state_of(admitted_in) == circuit_state::closed && !failed &&
                       options_.failure_rate == 0.0 && failures_in_row_.load(std::memory_order_relaxed) == 0;
    if (plain && word_.load(std::memory_order_acquire) == admitted_in) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    if (word_.load(std::memory_order_relaxed) != admitted_in) {
        counters_.late.fetch_add(1, std::memory_order_relaxed);
        return {};
    }
    if (failed) {
        counters_.failures.fetch_add(1, std::memory_order_relaxed);
        return failure_locked(now);
    }
    switch (state_of(admitted_in)) {
        case circuit_state::closed:
            failures_in_row_.store(0, std::memory_order_relaxed);
            if (options_.failure_rate > 0.0) {
                recent_.add(false, now);
            }
            return {};
        case circuit_state::half_open:
            half_open_running_ -= 1;
            half_open_successes_ += 1;
            return half_open_successes_ >= options_.successes_to_close ? enter_locked(circuit_state::closed)
                                                                       : circuit_transition{};
        case circuit_state::forced_closed:
        case circuit_state::open:
        case circuit_state::forced_open:
            return {};
    }
    return {};
}

circuit_transition circuit_breaker::failure_locked(time_point now) noexcept {
    switch (state_of(word_.load(std::memory_order_relaxed))) {
        case circuit_state::closed: {
            const std::uint32_t row = failures_in_row_.load(std::memory_order_relaxed);
            failures_in_row_.store(row + (row < UINT32_MAX ? 1 : 0), std::memory_order_relaxed);
            bool too_many = options_.failures_to_open > 0 && row + 1 >= options_.failures_to_open;
            if (options_.failure_rate > 0.0) {
                recent_.add(true, now);
                const auto [calls, failures] = recent_.sum();
                too_many |=
                    calls >= options_.minimum_calls &&
                    static_cast<double>(failures) >= options_.failure_rate * static_cast<double>(calls);
            }
            return too_many ? open_locked(now) : circuit_transition{};
        }
        case circuit_state::half_open:
            return open_locked(now);
        case circuit_state::forced_closed:
        case circuit_state::open:
        case circuit_state::forced_open:
            return {};
    }
    return {};
}

void circuit_breaker::cancel(word admitted_in) noexcept {
    if (state_of(admitted_in) != circuit_state::half_open) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (word_.load(std::memory_order_relaxed) == admitted_in) {
        half_open_running_ -= 1;
    }
}

circuit_transition circuit_breaker::open_locked(time_point now) noexcept {
    const time_point until = after(now, open_length(options_, openings_in_row_));
    openings_in_row_ += 1;
    counters_.opened.fetch_add(1, std::memory_order_relaxed);
    open_until_.store(until.time_since_epoch().count(), std::memory_order_release);  // before the state
    return enter_locked(circuit_state::open);
}

circuit_transition circuit_breaker::enter_locked(circuit_state to) noexcept {
    const word current = word_.load(std::memory_order_relaxed);
    half_open_running_ = 0;
    half_open_successes_ = 0;
    if (to == circuit_state::closed) {
        failures_in_row_.store(0, std::memory_order_relaxed);
        recent_.clear();
        openings_in_row_ = 0;
    }
    const word generation = (current >> state_bits) + 1;
    word_.store(generation << state_bits | static_cast<word>(to), std::memory_order_release);
    return {state_of(current), to};
}

circuit_state circuit_breaker::state(time_point now) const noexcept {
    word seen = word_.load(std::memory_order_acquire);
    while (state_of(seen) == circuit_state::open) {
        const bool over = now.time_since_epoch().count() >= open_until_.load(std::memory_order_acquire);
        const word again = word_.load(std::memory_order_relaxed);
        if (again == seen) {
            return over ? circuit_state::half_open : circuit_state::open;
        }
        seen = again;
    }
    return state_of(seen);
}

time_point circuit_breaker::next_attempt_at() const {
    const std::lock_guard lock(mutex_);
    switch (state_of(word_.load(std::memory_order_relaxed))) {
        case circuit_state::open:
            return time_point(duration(open_until_.load(std::memory_order_relaxed)));
        case circuit_state::half_open:
            return half_open_running_ < options_.half_open_calls ? time_point::min() : half_open_round_ends_;
        case circuit_state::forced_open:
            return time_point::max();
        case circuit_state::closed:
        case circuit_state::forced_closed:
            break;
    }
    return time_point::min();
}

circuit_transition circuit_breaker::force_open() {
    const std::lock_guard lock(mutex_);
    const bool already = state_of(word_.load(std::memory_order_relaxed)) == circuit_state::forced_open;
    return already ? circuit_transition{} : enter_locked(circuit_state::forced_open);
}

circuit_transition circuit_breaker::force_close() {
    const std::lock_guard lock(mutex_);
    const bool already = state_of(word_.load(std::memory_order_relaxed)) == circuit_state::forced_closed;
    return already ? circuit_transition{} : enter_locked(circuit_state::forced_closed);
}

circuit_transition circuit_breaker::reset() {
    const std::lock_guard lock(mutex_);
    return enter_locked(circuit_state::closed);
}

circuit_breaker_stats circuit_breaker::stats() const noexcept {
    return {.failures = counters_.failures.load(std::memory_order_relaxed),
            .refused = counters_.refused.load(std::memory_order_relaxed),
            .late = counters_.late.load(std::memory_order_relaxed),
            .opened = counters_.opened.load(std::memory_order_relaxed)};
}

}  // namespace levee
