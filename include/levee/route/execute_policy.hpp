/// How a request is tried: attempts, deadlines, retries; and what is said when all of them failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/balance/outcome.hpp"
#include "levee/balance/pick_context.hpp"
#include "levee/core/clock.hpp"
#include "levee/core/error.hpp"
#include "levee/resilience/backoff.hpp"
#include "levee/resilience/retry_budget.hpp"

namespace levee::route {

/// What an attempt's exception means.
struct verdict {
    outcome_kind kind = outcome_kind::failed;  ///< What the balancer is told about the endpoint.
    bool may_retry = false;                    ///< Whether another attempt could help, and does no harm.
};

/// The default meaning of exceptions. Time-outs and system errors (std::system_error and Boost's) are the
/// endpoint's and worth another attempt; the same attempt might have been carried out, so only idempotent
/// requests are repeated, and others where the connection was not even made. errc::cancelled says nothing
/// about the endpoint. Any other exception counts as the endpoint's failure and is not repeated.
[[nodiscard]] verdict default_verdict(const std::exception_ptr& thrown, bool is_idempotent);

/// Defaults: three attempts within 10 s, and only those repeated that surely did nothing.
struct execute_policy {
    // ---- essential

    /// For everything: attempts and waits between them. Above zero.
    duration deadline = std::chrono::seconds(10);

    /// For each attempt. Zero: what is left of `deadline`.
    duration attempt_timeout{};

    /// At least 1; 1: no retries.
    std::uint32_t max_attempts = 3;

    /// The request may be carried out twice without harm, so time-outs and failures may be tried again.
    bool is_idempotent = false;

    // ---- frequent

    /// The wait before a retry.
    backoff_options backoff = {.initial = std::chrono::milliseconds(10), .max = std::chrono::seconds(1)};

    /// Must have leave for each retry. The same object as `load_balancer_options::retry_budget`, which adds
    /// the requests to it. Null: `max_attempts` is the only bound.
    std::shared_ptr<retry_budget> budget{};

    /// As in pick_context; empty texts: not given.
    std::optional<std::uint64_t> hash{};
    std::string client{};
    std::string zone{};
    std::string sticky{};

    // ---- rare

    /// Replaces `default_verdict`. Called once for each attempt that threw, under no lock.
    std::function<verdict(const std::exception_ptr&)> classify{};

    /// Where asynchronous attempts run and whose time counts. Null: real time, and for `async_execute` the
    /// executor of the completion handler.
    std::shared_ptr<async::scheduler> scheduler{};

    /// Of the back-off's jitter. Zero: a random one.
    std::uint64_t seed = 0;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const execute_policy& policy);

/// What one attempt met.
struct attempt_report {
    std::string endpoint;  ///< Its id; empty: the balancer had none to give.
    pick_refusal refusal = pick_refusal::none;
    outcome_kind kind = outcome_kind::cancelled;  ///< As reported to the balancer.
    duration took{};
    std::exception_ptr error;  ///< What the function threw; null for time-outs and refusals.
};

/// Every attempt failed, or there was no leave or time for another. `code()` is errc::timeout if the
/// deadline was the reason, else errc::unavailable; `what()` tells what each attempt met.
class execute_error : public error {
public:
    execute_error(errc code, const std::string& reason, std::vector<attempt_report> attempts);

    /// In order.
    [[nodiscard]] const std::vector<attempt_report>& attempts() const noexcept { return *attempts_; }

private:
    std::shared_ptr<const std::vector<attempt_report>> attempts_;  // copying an exception must not throw
};

/// A word for each.
[[nodiscard]] std::string_view to_string(outcome_kind kind) noexcept;
[[nodiscard]] std::string_view to_string(pick_refusal refusal) noexcept;

}  // namespace levee::route
