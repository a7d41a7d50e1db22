/// The failure rate of the recent past, for `circuit_breaker`.
#pragma once

#include "levee/core/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace levee::detail {

/// Counts calls and failures over the last `span`, forgotten in tenths of it: the counts cover between nine
/// tenths of the span and all of it.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class failure_window {
public:
    static constexpr std::size_t slices = 10;

    struct totals {
        std::uint64_t calls = 0;
        std::uint64_t failures = 0;
    };

    /// `span` is at least 10 ns.
    explicit failure_window(duration span) noexcept : width_(span.count() / duration::rep{slices}) {}

    /// A time before the newest one seen counts as that one: clocks of two threads may differ by a tick.
    void add(bool failed, time_point now) noexcept {
        advance(now);
        totals& slice = slices_[static_cast<std::size_t>(newest_) % slices];
        slice.calls += 1;
        sum_.calls += 1;
        slice.failures += failed ? 1 : 0;
        sum_.failures += failed ? 1 : 0;
    }

    /// What the last `add` left.
    [[nodiscard]] totals sum() const noexcept { return sum_; }

    void clear() noexcept {
        slices_ = {};
        sum_ = {};
    }

private:
    void advance(time_point now) noexcept {
        // Counted from the time line's lowest point, so that the number is never negative.
        const auto since_lowest = static_cast<std::uint64_t>(now.time_since_epoch().count()) ^ (1ULL << 63);
        const std::uint64_t tick = since_lowest / static_cast<std::uint64_t>(width_);
        if (tick <= newest_) {
            return;
        }
        if (tick - newest_ >= slices) {
            clear();
        } else {
            for (std::uint64_t next = newest_ + 1; next <= tick; ++next) {
                totals& slice = slices_[static_cast<std::size_t>(next) % slices];
                sum_.calls -= slice.calls;
                sum_.failures -= slice.failures;
                slice = {};
            }
        }
        newest_ = tick;
    }

    duration::rep width_;
    std::uint64_t newest_ = 0;  // number of the slice that counts now
    std::array<totals, slices> slices_{};
    totals sum_{};
};

}  // namespace levee::detail
