/// When simulated clients send their requests.
#pragma once

#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

namespace levee::testing {

/// An open-loop arrival process: requests come whether or not earlier ones were answered, as users do, so
/// that a stalled server cannot slow down what measures it (coordinated omission).
///
/// Errors: a rate that is not above zero and finite, or a burst of nothing, throws std::invalid_argument.
/// Thread safety: distinct objects: safe; shared objects: safe.
class arrivals {
public:
    /// Independent of each other, `per_second` on average: many users.
    [[nodiscard]] static arrivals poisson(double per_second);

    /// Evenly spaced: a load generator, or a timer. Clients start at moments of their own.
    [[nodiscard]] static arrivals constant(double per_second);

    /// `size` at one moment, the bursts independent of each other; `per_second` counts requests.
    [[nodiscard]] static arrivals bursts(double per_second, std::uint32_t size);

    [[nodiscard]] double per_second() const noexcept { return per_second_; }

    /// The same process with another rate, as when it is divided among clients.
    [[nodiscard]] arrivals with_rate(double per_second) const;

    /// The gap before the first moment of arrival, and between one moment and the next.
    [[nodiscard]] duration first_gap(splitmix64& random) const noexcept;
    [[nodiscard]] duration gap(splitmix64& random) const noexcept;

    /// Requests at each moment. 1, except for bursts.
    [[nodiscard]] std::uint32_t at_once() const noexcept { return at_once_; }

private:
    arrivals(double per_second, std::uint32_t at_once, bool is_random);

    double per_second_;
    double mean_gap_;  // nanoseconds
    std::uint32_t at_once_;
    bool is_random_;
};

}  // namespace levee::testing
