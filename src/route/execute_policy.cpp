#include "levee/route/execute_policy.hpp"

#include <boost/system/system_error.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace levee::route {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("execute_policy::") + field + " is " + value + "; it must be " +
                                range);
}

std::string text(duration value) {
    return std::to_string(value.count()) + " ns";
}

// Codes that come before anything could be sent.
bool means_unsent(const std::error_code& code) {
    return code == std::errc::connection_refused || code == std::errc::host_unreachable ||
           code == std::errc::network_unreachable || code == std::errc::network_down ||
           code == std::errc::address_not_available;
}

verdict of_code(const std::error_code& code, bool is_idempotent) {
    if (code == std::errc::operation_canceled) {
        return {outcome_kind::cancelled, false};
    }
    const auto kind = code == std::errc::timed_out ? outcome_kind::timed_out : outcome_kind::failed;
    return {kind, is_idempotent || means_unsent(code)};
}

std::string describe(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an unknown exception";
    }
}

std::string describe(const std::string& reason, const std::vector<attempt_report>& attempts) {
    std::string text = reason;
    for (const attempt_report& each : attempts) {
        text += text.size() == reason.size() ? "; " : ", ";
        if (each.refusal != pick_refusal::none) {
            text += std::string("no endpoint (") + std::string(to_string(each.refusal)) + ")";
            continue;
        }
        const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(each.took).count();
        text += each.endpoint + ": " + std::string(to_string(each.kind)) + " after " +
                std::to_string(milliseconds) + " ms";
        if (each.error) {
            text += " (" + describe(each.error) + ")";
        }
    }
    return text;
}

}  // namespace

verdict default_verdict(const std::exception_ptr& thrown, bool is_idempotent) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
        return of_code(e.code(), is_idempotent);
    } catch (const boost::system::system_error& e) {
        return of_code(std::error_code(e.code()), is_idempotent);
    } catch (...) {
        return {outcome_kind::failed, false};
    }
}

void validate(const execute_policy& policy) {
    if (policy.deadline <= duration::zero()) {
        refuse("deadline", text(policy.deadline), "above zero");
    }
    if (policy.attempt_timeout < duration::zero()) {
        refuse("attempt_timeout", text(policy.attempt_timeout), "zero or above");
    }
    if (policy.max_attempts == 0) {
        refuse("max_attempts", "0", "at least 1");
    }
    levee::validate(policy.backoff);
}

execute_error::execute_error(errc code, const std::string& reason, std::vector<attempt_report> attempts)
    : error(code, describe(reason, attempts)),
      attempts_(std::make_shared<const std::vector<attempt_report>>(std::move(attempts))) {}

std::string_view to_string(outcome_kind kind) noexcept {
    switch (kind) {
        case outcome_kind::ok:
            return "ok";
        case outcome_kind::failed:
            return "failed";
        case outcome_kind::timed_out:
            return "timed out";
        case outcome_kind::overloaded:
            return "overloaded";
        case outcome_kind::cancelled:
            return "cancelled";
    }
    return "unknown";
}

std::string_view to_string(pick_refusal refusal) noexcept {
    switch (refusal) {
        case pick_refusal::none:
            return "none";
        case pick_refusal::no_endpoints:
            return "there are none";
        case pick_refusal::unavailable:
            return "none is available";
        case pick_refusal::excluded:
            return "all were tried";
        case pick_refusal::busy:
            return "all are at their limit";
        case pick_refusal::recovering:
            return "recovering from an outage";
    }
    return "unknown";
}

}  // namespace levee::route
