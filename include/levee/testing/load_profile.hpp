/// How many requests a load test sends, and when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

namespace levee::testing {

/// A stretch of time in which the rate is the same, or changes evenly.
struct load_phase {
    duration length{};             ///< Above zero.
    double from_per_second = 0.0;  ///< At its beginning; in [0, 10'000'000]. Zero: nothing is sent.
    double to_per_second = 0.0;    ///< At its end, in the same range.
};

enum class arrival_pattern : std::uint8_t {
    constant,  ///< Evenly spaced, as from a timer.
    poisson,   ///< Independent of each other, as from many users: with the bursts that these make.
};

/// A plan of rates over time, bounded in count and in time. The functions make the usual four.
struct load_profile {
    /// One after the other; at least one, at most 100,000.
    std::vector<load_phase> phases{};

    arrival_pattern pattern = arrival_pattern::poisson;

    /// Equal profiles with equal seeds have the same schedule, to the nanosecond.
    std::uint64_t seed = 1;

    /// Requests at most; a schedule that has more (Poisson arrivals vary) ends there. In [1, 100'000'000],
    /// and not below what the phases have on average.
    std::uint64_t max_requests = 1'000'000;

    /// Nothing is sent later than this after the start, even if the system under test has fallen behind the
    /// schedule. In (0, 30 days], and not below the length of the phases.
    duration max_time = std::chrono::hours(1);

    /// Load test: what is expected. These four set the bounds to twice what they need.
    /// Errors: std::invalid_argument, as `validate`.
    [[nodiscard]] static load_profile load(double per_second, duration length);

    /// Stress test: from one rate to another within `length`, in equal steps, to find where it breaks.
    /// At most 10,000 steps; 0: evenly, without steps; 1: the second rate only.
    [[nodiscard]] static load_profile stress(double from_per_second, double to_per_second, duration length,
                                             std::size_t steps = 10);

    /// Spike test: the base rate for `around`, the peak for `at_peak`, and the base again for `around`: does
    /// it come back?
    [[nodiscard]] static load_profile spike(double base_per_second, double peak_per_second, duration around,
                                            duration at_peak);

    /// Endurance (soak) test: as `load`, at least an hour: what leaks, fills up or drifts?
    [[nodiscard]] static load_profile endurance(double per_second, duration length = std::chrono::hours(8));

    /// The time of all phases together.
    [[nodiscard]] duration length() const noexcept;

    /// The requests of all phases together, on average.
    [[nodiscard]] double expected_requests() const noexcept;

    /// Errors: std::invalid_argument naming the field that is out of range.
    void validate() const;
};

/// The moments at which a profile's requests are due, one after the other: fixed by the profile alone,
/// whatever becomes of the requests.
///
/// A process of rate 1, evenly spaced or Poisson, is mapped through the inverse of the summed-up rate
/// (Çinlar 1975), so it follows ramps exactly.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe. Cost: some 20 ns a request, no memory.
class arrival_schedule {
public:
    /// Errors: as `load_profile::validate`.
    explicit arrival_schedule(load_profile profile);

    /// When the next request is due, from the start; never earlier than the one before. Empty: no more.
    [[nodiscard]] std::optional<duration> next() noexcept;

    /// How many requests a schedule has. Errors: as above. Cost: goes through all of them.
    [[nodiscard]] static std::uint64_t size(const load_profile& profile);

private:
    load_profile profile_;
    xoshiro256 random_;
    double due_ = 0.0;     // requests up to the next one, on average
    double before_ = 0.0;  // and up to the phase
    duration begin_{};     // of the phase
    std::size_t phase_ = 0;
    std::uint64_t given_ = 0;
};

}  // namespace levee::testing
