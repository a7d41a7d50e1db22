/// Takes endpoints out that fail more than the others.
#pragma once

#include "levee/core/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace levee {

/// Defaults after Envoy and gRPC A50: five failures in a row, 30 s the first time.
///
/// Failing as the others do is no reason: see `outlier_detector::fails_alike`. What was ejected while all
/// failed, or up to `interval` before that was seen, comes back with the first success.
struct outlier_options {
    /// Failures in a row that eject. Zero: not looked at.
    std::uint32_t consecutive_failures = 5;

    /// Share of failures, in (0, 1], among the requests of the last `interval` that ejects, however they
    /// are spread. Zero: not looked at.
    double failure_share = 0.5;

    /// With fewer requests in the interval than this, shares decide nothing. At least 1.
    std::uint32_t minimum_requests = 50;

    /// Ejects an endpoint whose share of successes is this many standard deviations below the mean of all
    /// (Envoy: 1.9), if at least `minimum_endpoints` have enough requests. Zero: not looked at.
    double success_deviations = 0.0;
    std::size_t minimum_endpoints = 5;  ///< At least 2.

    /// What shares look back on. At least 1 ms.
    duration interval = std::chrono::seconds(10);

    /// The k-th ejection lasts k times this, up to `max_ejection`. Above zero. Each such time without a
    /// further ejection takes one from k.
    duration base_ejection = std::chrono::seconds(30);
    duration max_ejection = std::chrono::seconds(300);  ///< At least `base_ejection`.

    /// No ejection that would leave a greater share of the endpoints ejected. In [0, 1]. The last eligible
    /// endpoint is never ejected.
    double max_ejected_share = 0.5;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const outlier_options& options);

/// The decisions of outlier detection, without clock or lock: counts and times are handed in.
///
/// Thread safety: unsafe for one `history` from two threads; `load_balancer` holds a mutex, which only
/// failures and, where `success_deviations` is set, one call an interval take.
class outlier_detector {
public:
    /// Successes and failures of an endpoint since the beginning; cancelled and "too busy" are neither.
    struct totals {
        std::uint64_t succeeded = 0;
        std::uint64_t failed = 0;
    };

    /// What is remembered about one endpoint.
    class history {
    public:
        [[nodiscard]] bool is_ejected(time_point now) const noexcept { return now < ejected_until_; }
        [[nodiscard]] time_point ejected_at() const noexcept { return ejected_at_; }
        [[nodiscard]] time_point ejected_until() const noexcept { return ejected_until_; }
        [[nodiscard]] std::uint64_t ejections() const noexcept { return ejections_; }

    private:
        friend outlier_detector;
        totals recent(totals so_far, time_point now, duration interval) noexcept;

        time_point ejected_at_ = (time_point::min)();
        time_point ejected_until_ = (time_point::min)();
        std::uint64_t ejections_ = 0;
        std::uint32_t multiplier_ = 0;
        // Totals at the beginning of the last and of this half interval: shares look back on both.
        totals last_{}, this_{}, so_far_{};
        time_point half_began_ = (time_point::min)();
    };

    /// Errors: std::invalid_argument.
    explicit outlier_detector(const outlier_options& options = {});

    /// The share of failures that makes `of` an outlier after this failure, which `in_row` counts: 1 for a
    /// row, or that of the interval. Zero: none. Then look at the others: `fails_alike`, `allows`.
    [[nodiscard]] double on_failure(history& of, std::uint32_t in_row, totals so_far, time_point now) const;

    /// Whether another endpoint fails like the one with this share of failures: its last request failed, or
    /// its own share (`successes`, negative: unknown) is at least half as high. Where more than half of the
    /// others do, nobody is an outlier: ejecting some would only overload the rest once all are back.
    [[nodiscard]] static bool fails_alike(double share, std::uint32_t in_row, double successes) noexcept {
        return in_row > 0 || (successes >= 0.0 && (1.0 - successes) * 2.0 >= share);
    }

    /// Whether one more of `all` endpoints, of which `ejected` are and `eligible` can be picked, may be.
    [[nodiscard]] bool allows(std::size_t all, std::size_t ejected, std::size_t eligible) const noexcept;

    /// Ejects until the returned time.
    time_point eject(history& of, time_point now) const noexcept;

    /// Ends an ejection early, and the next one is no longer for it.
    void lift(history& of, time_point now) const noexcept;

    /// The endpoints of `shares` (successes in the interval, negative: too few requests) that fall too far
    /// below the mean.
    [[nodiscard]] std::vector<std::size_t> below_the_others(std::span<const double> shares) const;

    /// The share of successes of `of` in the last interval; negative if there were too few requests.
    [[nodiscard]] double success_share(history& of, totals so_far, time_point now) const noexcept;

    [[nodiscard]] const outlier_options& options() const noexcept { return options_; }

private:
    outlier_options options_;
};

}  // namespace levee
