/// How a request to an endpoint ended.
#pragma once

#include "levee/core/clock.hpp"

#include <cstdint>
#include <optional>

namespace levee {

enum class outcome_kind : std::uint8_t {
    ok,          ///< Answered as it should.
    failed,      ///< Answered with an error that is the endpoint's, or not reached at all.
    timed_out,   ///< No answer in time.
    overloaded,  ///< "Too busy": makes it less attractive, and is no reason to eject it.
    cancelled,   ///< Says nothing about the endpoint.
};

/// What `ticket::complete` is told: it feeds score, outlier detection, circuit breaker, limits, retry
/// budget and percentiles.
struct outcome {
    outcome_kind kind = outcome_kind::cancelled;

    /// How long the request took. Empty: from pick to completion by the balancer's clock, which is off by
    /// up to 4 ms with the default clock.
    std::optional<duration> latency{};

    [[nodiscard]] static outcome ok(std::optional<duration> latency = {}) noexcept {
        return {outcome_kind::ok, latency};
    }
    [[nodiscard]] static outcome failed(std::optional<duration> latency = {}) noexcept {
        return {outcome_kind::failed, latency};
    }
    [[nodiscard]] static outcome timed_out(std::optional<duration> latency = {}) noexcept {
        return {outcome_kind::timed_out, latency};
    }
    [[nodiscard]] static outcome overloaded(std::optional<duration> latency = {}) noexcept {
        return {outcome_kind::overloaded, latency};
    }
    [[nodiscard]] static outcome cancelled() noexcept { return {}; }
};

}  // namespace levee
