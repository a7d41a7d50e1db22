/// What a simulated server's faults mean at each moment, and how long work takes through them.
#pragma once

#include <vector>

#include "levee/core/clock.hpp"
#include "levee/testing/simulated_server.hpp"

namespace levee::testing_detail {

/// A stretch of time in which a server behaves the same. Times count from the start of the simulation.
struct server_phase {
    duration until = (duration::max)();  ///< It lasts until then, not included.
    double slowness = 1.0;               ///< Work takes so many times as long.
    bool is_paused = false;
    bool is_hanging = false;
    double failing_share = 0.0;
    duration failure_latency{};
};

/// Faults, evaluated as time goes on. Time only goes forward between calls of `now`.
class server_timeline {
public:
    explicit server_timeline(std::vector<testing::server_fault> faults)
        : faults_(std::move(faults)), phase_(evaluate(duration::zero())) {}

    /// The phase at `at`.
    [[nodiscard]] const server_phase& now(duration at) {
        if (at >= phase_.until) {
            phase_ = evaluate(at);
        }
        return phase_;
    }

    /// When `work`, begun at `at`, is done. duration::max(): never.
    [[nodiscard]] duration finish(duration at, duration work);

private:
    [[nodiscard]] server_phase evaluate(duration at) const noexcept;

    std::vector<testing::server_fault> faults_;
    server_phase phase_;
};

}  // namespace levee::testing_detail
