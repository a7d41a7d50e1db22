/// Why an endpoint was or was not picked.
#pragma once

#include "levee/balance/pick_context.hpp"
#include "levee/core/clock.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace levee {

/// What keeps an endpoint from being picked.
enum class ineligibility : std::uint8_t {
    none,          ///< Nothing.
    drained,       ///< Weight 0, or `set_draining`.
    other_subset,  ///< Left to other clients.
    unhealthy,     ///< A health check said so.
    ejected,       ///< By the outlier detector.
    circuit_open,  ///< By its circuit breaker, or half-open with all places taken.
    excluded,      ///< By the caller.
    at_limit,      ///< It has as many requests in flight as it may.
    starting,      ///< Passed over this time: slow start.
    other_tier,    ///< Of another priority or zone than the one chosen for this pick.
};

/// One word for each.
[[nodiscard]] std::string_view to_string(ineligibility why) noexcept;

/// What a balancer knows about one endpoint.
struct endpoint_status {
    std::string id;
    double weight = 0.0;  ///< As used: an unknown one has become the mean.
    std::uint32_t priority = 0;
    std::string zone;
    ineligibility why_not = ineligibility::none;  ///< In general; `none` or the first five reasons.
    std::uint64_t picks = 0;                      ///< Tickets given out since the balancer first saw it.
    std::uint64_t failures = 0;                   ///< Failed or timed out.
    std::uint64_t cancelled = 0;                  ///< Cancelled or dropped.
    std::uint64_t in_flight = 0;
    std::uint32_t limit = 0;            ///< Requests at once; 0: no limit.
    std::optional<duration> latency{};  ///< The peak EWMA, where the strategy has one measured.
    double errors = 0.0;                ///< The share of errors in the score, likewise.
    std::uint64_t ejections = 0;        ///< Times it was ejected.
    circuit_state circuit = circuit_state::closed;
};

/// One candidate of one pick.
struct candidate_explanation {
    std::string id;
    double weight = 0.0;
    double score = 0.0;  ///< The strategy's, lower is better; 0 where it compares nothing.
    std::uint32_t in_flight = 0;
    ineligibility why_not = ineligibility::none;
};

/// One pick.
struct pick_explanation {
    time_point at{};
    std::optional<std::uint64_t> hash{};
    std::string picked;  ///< The id; empty: nothing.
    pick_refusal refusal = pick_refusal::none;
    bool is_panic = false;
    std::vector<candidate_explanation> candidates;  ///< All endpoints, as they were just before.
};

/// A table of lines for people: the picked one is marked.
[[nodiscard]] std::string to_string(const pick_explanation& explanation);

}  // namespace levee
