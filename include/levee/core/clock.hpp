/// Time: the one duration type, the one time line, and clocks that can be replaced in tests.
#pragma once

#include <chrono>

namespace levee {

/// Nanoseconds in 64 bits: every duration of the interface. Reaches 292 years; sums saturate (see `after`).
using duration = std::chrono::nanoseconds;

/// A point on the monotonic time line (CLOCK_MONOTONIC on Linux). Never wall time.
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// Reads time; does not wait. What waits goes through `async::scheduler`.
///
/// Thread safety: `now` is safe on a shared object, in the clocks here and in what users derive.
class clock {
public:
    virtual ~clock() = default;

    /// The time now. Never goes back for one thread.
    [[nodiscard]] virtual time_point now() const noexcept = 0;

    /// The exact clock, `std::chrono::steady_clock`. Cost: about 35 ns.
    [[nodiscard]] static const clock& precise() noexcept;

    /// The kernel's tick: CLOCK_MONOTONIC_COARSE, on the same time line as `precise()`, behind it by at
    /// most one tick (4 ms at 250 Hz, which Debian has). Cost: about 8 ns. The default of every hit path.
    [[nodiscard]] static const clock& coarse() noexcept;

protected:
    clock() = default;
    clock(const clock&) = default;
    clock& operator=(const clock&) = default;
};

/// `from + by`, held at `time_point::max()` and `time_point::min()` instead of overflowing, so that
/// `duration::max()` means "never" wherever a life or a timeout is added to now.
[[nodiscard]] constexpr time_point after(time_point from, duration by) noexcept {
    if (by >= duration::zero()) {
        return from > (time_point::max)() - by ? (time_point::max)() : from + by;
    }
    return from < (time_point::min)() - by ? (time_point::min)() : from + by;
}

}  // namespace levee
