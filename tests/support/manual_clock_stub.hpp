/// A clock that tests of the lowest floors move by hand; they do not link levee::testing.
#pragma once

#include <atomic>
#include <chrono>

#include "levee/core/clock.hpp"

namespace levee::test {

class manual_clock_stub final : public levee::clock {
public:
    explicit manual_clock_stub(time_point start = time_point(std::chrono::hours(1)))
        : now_(start.time_since_epoch().count()) {}

    [[nodiscard]] time_point now() const noexcept override { return time_point(duration(now_.load())); }
    void advance(duration by) noexcept { now_.fetch_add(by.count()); }

private:
    std::atomic<duration::rep> now_;
};

}  // namespace levee::test
