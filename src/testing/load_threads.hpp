/// The blocking form of a load run, over any time line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "levee/core/clock.hpp"
#include "levee/testing/load_profile.hpp"
#include "testing/load_tally.hpp"

namespace levee::testing_detail {

/// How threads tell the time and wait for it: real, or made up by a test. Thread safety: safe.
class pacer {
public:
    virtual ~pacer() = default;
    [[nodiscard]] virtual time_point now() const noexcept = 0;

    /// Returns once `now() >= until`, or a stop is requested.
    virtual void wait_until(time_point until, const std::stop_token& stop) = 0;

protected:
    pacer() = default;
    pacer(const pacer&) = default;
    pacer& operator=(const pacer&) = default;
};

/// Calls `request` at each moment of the profile's schedule on `threads` threads, counting in `tally`.
/// Returns when all have ended. Errors: std::system_error if a thread cannot be made.
void run_on_threads(const testing::load_profile& profile, std::size_t threads, pacer& time, load_tally& tally,
                    const std::function<void()>& request, const std::stop_token& stop);

}  // namespace levee::testing_detail
