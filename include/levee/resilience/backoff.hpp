/// Back-off: how long to wait before the next attempt.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

#include <cstdint>

namespace levee {

/// How the ceiling grows from one attempt to the next.
enum class backoff_growth {
    exponential,  ///< initial, initial × multiplier, initial × multiplier², …: for what must recover.
    linear,       ///< initial, 2 × initial, 3 × initial, …: for ejections ("k × 30 s", Envoy).
};

/// Which part of the ceiling is left to chance (Brooker, "Exponential Backoff And Jitter", AWS 2015).
enum class backoff_jitter {
    full,   ///< Between zero and the ceiling: clients that failed together spread out most.
    equal,  ///< Between half the ceiling and the ceiling: for when a wait near zero would do harm.
    none,   ///< The ceiling itself: for one waiter, and for what must be told beforehand.
};

/// Defaults suit reconnecting to a server: about 10 ms at first, and never above 5 s.
struct backoff_options {
    /// The first attempt's ceiling. Above zero.
    duration initial = std::chrono::milliseconds(10);

    /// No ceiling grows above this. At least `initial`; equal to it: constant.
    duration max = std::chrono::seconds(5);

    /// Growth of the exponential form, in [1, 100]; 1: constant. The linear form does not look at it.
    double multiplier = 2.0;

    backoff_growth growth = backoff_growth::exponential;
    backoff_jitter jitter = backoff_jitter::full;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const backoff_options& options);

/// The longest wait before attempt number `attempt`, counted from 0: what jitter is taken from.
///
/// Never shrinks as `attempt` grows, never overflows, always in [initial, max]. The options must be valid.
[[nodiscard]] duration backoff_ceiling(const backoff_options& options, std::uint64_t attempt) noexcept;

/// The wait before attempt number `attempt`, with the chance given: `unit` in [0, 1) picks from the range
/// that the jitter leaves, 0 its low end.
[[nodiscard]] duration backoff_delay(const backoff_options& options, std::uint64_t attempt,
                                     double unit) noexcept;

/// The waits of one sequence of attempts. It decides and does not wait; give its answer to a scheduler.
///
///     backoff wait({.initial = 10ms, .max = 5s}, seed);
///     while (!connect()) { co_await scheduler.sleep_until(after(scheduler.now(), wait.next())); }
///     wait.reset();
///
/// Use one object for each thing that fails, each with a seed of its own: equal seeds wait alike, which is
/// what jitter is there to prevent.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class backoff {
public:
    /// Errors: std::invalid_argument, see `validate`.
    backoff(const backoff_options& options, std::uint64_t seed);

    /// The wait before the next attempt, which is counted.
    [[nodiscard]] duration next() noexcept;

    /// The longest that `next` could answer now.
    [[nodiscard]] duration ceiling() const noexcept { return backoff_ceiling(options_, attempts_); }

    /// Attempts counted since construction or `reset`.
    [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }

    /// It works again: the next wait is a first one. The random sequence goes on and does not repeat.
    void reset() noexcept { attempts_ = 0; }

    /// It has worked for a while: one attempt is forgotten, so that the wait shrinks as it grew.
    void decay() noexcept { attempts_ -= attempts_ > 0 ? 1 : 0; }

private:
    backoff_options options_;
    splitmix64 random_;
    std::uint64_t attempts_ = 0;
};

}  // namespace levee
