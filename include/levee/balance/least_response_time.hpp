/// The endpoint that will probably answer first: the default.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

struct least_response_time_options {
    /// How many endpoints, drawn at random, are compared. In [2, 16]. (Mitzenmacher 2001.)
    std::uint32_t choices = 2;

    /// Up to this many endpoints all are compared: best-of-2 has a sampling floor in small sets.
    std::uint32_t compare_all_up_to = 8;

    /// The time over which a latency or an error is forgotten. In [1 ms, 1 day].
    duration tau = std::chrono::seconds(10);
};

/// Compares expected latency × (requests in flight + 1) ÷ weight, and raises it steeply by the share of
/// errors, so that failing fast does not pay.
///
/// Latency is a peak EWMA: a slow answer counts at once, and wears off over `tau`; without requests to the
/// endpoint 8 times as fast, until such answers have come again and again. An endpoint that has requests in
/// flight and answers none is as slow as it has been silent. An error or a time-out never lowers the score;
/// errors raise it at most 31 times, so that the only one that works is not sent more than it can do. An
/// endpoint about which nothing is known counts like the mean of those it is compared with. Endpoints are
/// drawn by weight.
///
/// Cost: `choices` (or all of up to `compare_all_up_to`) endpoints' lines are read, the picked one's written.
class least_response_time final : public strategy {
public:
    /// Errors: std::invalid_argument.
    explicit least_response_time(const least_response_time_options& options = {});

    [[nodiscard]] std::string name() const override { return "least_response_time"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = true, .total_in_flight = false, .latency = true, .latency_tau = options_.tau};
    }
    [[nodiscard]] plan_scope scope() const noexcept override { return plan_scope::eligible; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
    [[nodiscard]] double score(const candidate& of, pick_view& view) const override;

private:
    [[nodiscard]] const candidate* pick_among(pick_view& view, std::uint32_t now) const;

    least_response_time_options options_;
};

}  // namespace levee
