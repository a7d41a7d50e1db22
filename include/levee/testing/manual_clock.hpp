/// A clock that a test moves by hand.
#pragma once

#include <atomic>
#include <chrono>

#include "levee/core/clock.hpp"

namespace levee::testing {

/// Stands still until it is moved. Thread safety: safe on a shared object.
class manual_clock final : public clock {
public:
    /// Starts an hour after the time line's origin, so that a test may step back as well.
    explicit manual_clock(time_point start = time_point(std::chrono::hours(1))) noexcept : now_(start) {}

    [[nodiscard]] time_point now() const noexcept override { return now_.load(std::memory_order_acquire); }

    /// Moves on by `by`; a negative one steps back, as no real monotonic clock does.
    void advance(duration by) noexcept;

    void set(time_point now) noexcept { now_.store(now, std::memory_order_release); }

private:
    std::atomic<time_point> now_;
};

}  // namespace levee::testing
