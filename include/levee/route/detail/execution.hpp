/// The decisions of execute: which attempt, when, and when to give up. It neither waits nor calls.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "levee/balance/load_balancer.hpp"
#include "levee/core/clock.hpp"
#include "levee/resilience/backoff.hpp"
#include "levee/route/attempt.hpp"
#include "levee/route/execute_policy.hpp"

namespace levee::route::detail {

/// Step it until it gives up or a success was reported:
///
///     next() ── attempt ──▶ run current() ──▶ succeeded() │ failed() ──▶ next()
///            ── wait ─────▶ sleep until wake_at() ─────────────────────▶ next()
///            ── give_up ──▶ rethrow failure()
///
/// Thread safety: unsafe. Dropped in the middle of an attempt, that counts as cancelled.
class execution {
public:
    enum class step { attempt, wait, give_up };

    /// Errors: std::invalid_argument. The balancer must outlive this.
    execution(load_balancer& balancer, const execute_policy& policy, time_point now);

    [[nodiscard]] step next(time_point now);

    [[nodiscard]] attempt& current() noexcept { return *current_; }
    [[nodiscard]] time_point wake_at() const noexcept { return wake_at_; }
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

    void succeeded(time_point now) noexcept;

    /// `thrown`: by the function, or null for an attempt that was ended at its deadline.
    void failed(const std::exception_ptr& thrown, time_point now);

private:
    void begin_attempt(time_point now);
    void plan_retry(time_point now);
    void give_up(errc code, const char* reason);
    [[nodiscard]] bool pick(time_point now);
    void report_failure(outcome_kind kind, const std::exception_ptr& thrown, time_point now);

    load_balancer& balancer_;
    const execute_policy policy_;
    const time_point deadline_;
    backoff backoff_;
    step next_ = step::attempt;
    bool needs_leave_ = false;  // of the retry budget: something was sent before
    time_point wake_at_{};
    std::uint32_t made_ = 0;
    std::optional<attempt> current_;
    std::vector<endpoint_key> tried_;
    std::vector<attempt_report> reports_;
    std::exception_ptr failure_;
};

}  // namespace levee::route::detail
