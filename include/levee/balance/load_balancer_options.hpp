/// What a load_balancer is told at construction.
#pragma once

#include "levee/balance/concurrency_limit.hpp"
#include "levee/balance/outlier_detector.hpp"
#include "levee/core/clock.hpp"
#include "levee/resilience/circuit_breaker.hpp"
#include "levee/resilience/retry_budget.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace levee {

class percentile_monitor;

struct load_balancer_options {
    // ---- essential

    /// Share of endpoints (of a tier) that must be eligible; with fewer, health is ignored and all are
    /// picked, since overloading the rest would take those down too. In [0, 1]; 0: no panic.
    double panic_threshold = 0.5;

    /// Ejects endpoints that fail more than others. Empty: off.
    std::optional<outlier_options> outlier = outlier_options{};

    /// A circuit breaker for each endpoint, which holds in panic too. Empty: off.
    std::optional<circuit_breaker_options> breaker{};

    /// Requests in flight to one endpoint. Zero: no limit. Together with `adaptive_limit`: its ceiling.
    std::uint32_t max_in_flight = 0;

    /// Finds each endpoint's limit by its latency. Empty: off.
    std::optional<adaptive_limit_options> adaptive_limit{};

    // ---- frequent

    /// A new endpoint, or one that comes back from an ejection or from being unhealthy, gets its full share
    /// only after this time, and `slow_start_floor` of it at first. The endpoints of the beginning start in
    /// full. Hashing strategies send the keys of a starting endpoint elsewhere meanwhile. Zero: off.
    duration slow_start{};
    double slow_start_floor = 0.1;  ///< In (0, 1].

    /// After a moment in which no endpoint could be picked, requests are let through as the share of
    /// endpoints that are back, rising to all over this time; the others are refused
    /// (`pick_refusal::recovering`). No effect in panic, which spreads the load over all. Zero: off.
    duration recovery_ramp = std::chrono::seconds(10);

    /// Where this process stands. Endpoints of this zone are preferred, as far as they can carry the load.
    /// Empty: zones are not looked at.
    std::string zone{};

    /// How much of a tier's (or zone's) capacity is spare: with a share f of it eligible, it is given
    /// min(1, f × overprovision) of the load, the next tier the rest. At least 1.
    double overprovision = 1.4;

    /// Uses only this many endpoints of a large set, chosen by `subset_id`. Zero: all.
    std::size_t subset_size = 0;
    std::uint64_t subset_id =
        0;  ///< This client's number; clients with different ones use different subsets.

    // ---- rare

    /// Records each endpoint's latencies under "<name>:<id>". Null: off. Must outlive the balancer and its
    /// tickets.
    percentile_monitor* monitor = nullptr;
    std::string name = "balancer";

    /// First attempts that end add to it. Null: off.
    std::shared_ptr<levee::retry_budget> retry_budget{};

    /// How many picks `explain` remembers. Zero: none. Each one then costs 50 ns for each
    /// endpoint: for debugging.
    std::size_t explain_picks = 0;

    /// Same seed, same clock, one thread: same picks. Zero: a random one.
    std::uint64_t seed = 0;

    /// Null: the coarse clock. Must outlive the balancer and its tickets.
    const levee::clock* clock = nullptr;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const load_balancer_options& options);

}  // namespace levee
