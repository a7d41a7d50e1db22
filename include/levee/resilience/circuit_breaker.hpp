/// A circuit breaker: stops calling what keeps failing, and tries again carefully.
#pragma once

#include "levee/core/clock.hpp"
#include "levee/resilience/detail/failure_window.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

namespace levee {

enum class circuit_state : std::uint8_t {
    closed,         ///< Calls pass.
    open,           ///< Calls are refused until `open_for` has passed.
    half_open,      ///< A few calls pass, to find out.
    forced_open,    ///< Calls are refused until `reset`.
    forced_closed,  ///< Calls pass whatever they bring, until `reset`.
};

/// Defaults protect a service from its second cache level: five failures in a row, open for 5 s, one probe.
struct circuit_breaker_options {
    /// Failures in a row that open a closed circuit. Zero: not looked at, and then `failure_rate` is set.
    std::uint32_t failures_to_open = 5;

    /// Share of failures within `window` that opens a closed circuit, in (0, 1]. Zero: not looked at.
    /// Looked at when a failure arrives. Cost: each outcome then takes a lock.
    double failure_rate = 0.0;

    /// The time that `failure_rate` looks back on, forgotten in tenths. At least 1 ms.
    duration window = std::chrono::seconds(10);

    /// With fewer outcomes in the window than this, `failure_rate` decides nothing. At least 1.
    std::uint32_t minimum_calls = 20;

    /// How long the circuit stays open the first time. Above zero.
    duration open_for = std::chrono::seconds(5);

    /// Each time the circuit opens again without having closed, it stays open `open_for_multiplier` times
    /// as long, up to this. Zero: `open_for` each time; otherwise at least `open_for`.
    duration open_for_max{};

    /// In [1, 100].
    double open_for_multiplier = 2.0;

    /// Calls under way at once while half-open. At least 1.
    std::uint32_t half_open_calls = 1;

    /// Successes, with no failure among them, that close a half-open circuit. At least 1.
    std::uint32_t successes_to_close = 1;

    /// How long half-open calls may keep all places without reporting before the places are given to new
    /// calls. Longer than a call's own timeout, or a slow server gets more calls at once than
    /// `half_open_calls`. Zero: as long as `open_for`.
    duration half_open_timeout{};
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const circuit_breaker_options& options);

/// A change of state, for the log or the metrics of whoever made the call. False if nothing changed.
struct circuit_transition {
    circuit_state from = circuit_state::closed;
    circuit_state to = circuit_state::closed;

    [[nodiscard]] explicit operator bool() const noexcept { return from != to; }
    friend bool operator==(const circuit_transition&, const circuit_transition&) = default;
};

/// What happened since construction. Successes and admitted calls are not counted here: that would cost
/// every call a store to a shared line, and a percentile_monitor counts them for less.
struct circuit_breaker_stats {
    std::uint64_t failures = 0;  ///< Failures that counted.
    std::uint64_t refused = 0;   ///< Calls refused, in any state.
    std::uint64_t late = 0;      ///< Successes and failures that came too late to count.
    std::uint64_t opened = 0;    ///< Times the circuit opened, forced openings not included.
};

/// Decides whether a call may be made, from the outcomes of the calls before it (Nygard, "Release It!",
/// 2007). It makes no call, has no timer and reads no clock: the caller passes the time.
///
///     auto permit = breaker.try_acquire(now);
///     if (!permit) { return errc::unavailable; }             // until breaker.next_attempt_at()
///     auto reply = call();                                   // an exception drops the permit: cancelled
///     reply.ok() ? permit.record_success(now) : permit.record_failure(now);
///
/// *States.* What each event does; "–" is nothing, or nothing but a counter.
///
///     event       | closed         | open          | half_open            | forced_open | forced_closed
///     ------------+----------------+---------------+----------------------+-------------+--------------
///     acquire     | admit          | before end:   | place free: admit    | refuse      | admit
///                 |                | refuse; after | none: refuse; after  |             |
///                 |                | → half_open   | timeout: new round   |             |
///     success     | row ends       | –             | enough → closed      | –           | –
///     failure     | limit → open   | –             | → open, for longer   | –           | –
///     cancelled   | –              | –             | its place is free    | –           | –
///     force_open  | → forced_open  | → forced_open | → forced_open        | –           | → forced_open
///     force_close | → forced_closed| → forced_clo. | → forced_closed      | → forced_c. | –
///     reset       | row ends       | → closed      | → closed             | → closed    | → closed
///
/// (Outcomes find the circuit open only if their calls began before it opened, so they are late.)
///
/// *Generations.* Each change of state, each `reset` and each new round of half-open calls begins a
/// generation, and only outcomes of calls admitted in the current one count. So a failure of a call that
/// began before the circuit opened neither reopens a closed circuit nor fails a half-open one, and a late
/// success closes nothing.
///
/// *Silent calls.* A half-open call that never reports would wedge the circuit. Once all places have been
/// taken and `half_open_timeout` has passed since the last was, the next call begins a new round: all
/// places are free again, successes count from zero, and the silent calls' outcomes no longer count.
///
/// Thread safety: safe. Blocks: never for longer than a few fields' update under a mutex. Errors:
/// std::invalid_argument from the constructor. Cost: closed, a permit and a success are three loads of
/// lines that nobody writes (unless `failure_rate` is set, or a failure came just before); open, a refusal
/// is three loads and one shared add; all else takes the mutex.
class circuit_breaker {
public:
    class permit;

    explicit circuit_breaker(const circuit_breaker_options& options = {});
    circuit_breaker(const circuit_breaker&) = delete;
    circuit_breaker& operator=(const circuit_breaker&) = delete;

    /// Asks to make one call. The permit is false if the call is refused. It refers to the breaker, which
    /// must outlive it.
    [[nodiscard]] permit try_acquire(time_point now);

    /// The state that `try_acquire(now)` would find: half-open as soon as the open time has passed.
    [[nodiscard]] circuit_state state(time_point now) const noexcept;

    /// The earliest time at which a call may be admitted. The lowest time_point: now; the highest: not
    /// before `reset`. Sooner after all if a half-open call reports meanwhile.
    [[nodiscard]] time_point next_attempt_at() const;

    /// Refuses every call until `reset` (for maintenance).
    circuit_transition force_open();

    /// Admits every call until `reset`.
    circuit_transition force_close();

    /// Closed, as newly built; the statistics stay.
    circuit_transition reset();

    [[nodiscard]] circuit_breaker_stats stats() const noexcept;

private:
    // State and generation in one word, so that one load answers "may I" and one comparison "does it count".
    using word = std::uint64_t;
    static constexpr unsigned state_bits = 3;
    static constexpr circuit_state state_of(word w) noexcept {
        return static_cast<circuit_state>(w & ((word{1} << state_bits) - 1));
    }

    permit acquire_locked(time_point now);
    circuit_transition record(word admitted_in, bool failed, time_point now);
    void cancel(word admitted_in) noexcept;
    circuit_transition failure_locked(time_point now) noexcept;
    circuit_transition enter_locked(circuit_state to) noexcept;
    circuit_transition open_locked(time_point now) noexcept;

    const circuit_breaker_options options_;

    // Written under mutex_. A load (acquire) pairs with the store (release) in enter_locked: what was
    // stored before the state changed is seen with it.
    std::atomic<word> word_{static_cast<word>(circuit_state::closed)};
    std::atomic<std::uint32_t> failures_in_row_{0};
    std::atomic<duration::rep> open_until_{0};

    // Statistics, relaxed, away from the line that every call reads.
    struct alignas(64) counters {
        std::atomic<std::uint64_t> failures{0};
        std::atomic<std::uint64_t> refused{0};
        std::atomic<std::uint64_t> late{0};
        std::atomic<std::uint64_t> opened{0};
    } counters_;

    mutable std::mutex mutex_;  // guards all below, and writing all above but the statistics
    detail::failure_window recent_;
    std::uint64_t openings_in_row_ = 0;  // since it was last closed
    std::uint32_t half_open_running_ = 0;
    std::uint32_t half_open_successes_ = 0;
    time_point half_open_round_ends_{};  // once all places are taken
};

/// Leave to make one call. Report its outcome once; a permit that is dropped has been cancelled, which says
/// nothing about the server.
///
/// Thread safety: distinct objects: safe, those of one breaker too; shared objects: unsafe.
class [[nodiscard]] circuit_breaker::permit {
public:
    permit() = default;
    permit(permit&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)),
          admitted_in_(other.admitted_in_),
          transition_(other.transition_) {}
    permit& operator=(permit&& other) noexcept {
        if (this != &other) {
            cancel();
            breaker_ = std::exchange(other.breaker_, nullptr);
            admitted_in_ = other.admitted_in_;
            transition_ = other.transition_;
        }
        return *this;
    }
    ~permit() { cancel(); }

    /// Whether the call may be made, and its outcome has not been reported yet.
    [[nodiscard]] explicit operator bool() const noexcept { return breaker_ != nullptr; }

    /// What acquiring this changed: open → half_open, or nothing.
    [[nodiscard]] circuit_transition transition() const noexcept { return transition_; }

    /// Reports the outcome and empties the permit; of an empty one, nothing happens. Returns what changed.
    circuit_transition record_success(time_point now) { return record(false, now); }
    circuit_transition record_failure(time_point now) { return record(true, now); }

    /// The call was not made, or its end says nothing about the server. Empties the permit.
    void cancel() noexcept {
        if (auto* breaker = std::exchange(breaker_, nullptr)) {
            breaker->cancel(admitted_in_);
        }
    }

private:
    friend circuit_breaker;
    permit(circuit_breaker* breaker, word admitted_in, circuit_transition transition) noexcept
        : breaker_(breaker), admitted_in_(admitted_in), transition_(transition) {}

    circuit_transition record(bool failed, time_point now) {
        auto* breaker = std::exchange(breaker_, nullptr);
        return breaker ? breaker->record(admitted_in_, failed, now) : circuit_transition{};
    }

    circuit_breaker* breaker_ = nullptr;
    word admitted_in_ = 0;
    circuit_transition transition_{};
};

}  // namespace levee
