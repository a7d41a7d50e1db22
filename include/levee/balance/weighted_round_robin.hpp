/// Each endpoint in turn, as often as its weight says.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

/// Smooth: an endpoint's turns are evenly spaced, and at any time each has had its share within a few
/// picks, also over rebuilds, since a thread goes on where it was. Equal weights: strict round robin.
///
/// A thread walks the multiples of the golden ratio (see `pick_view::even_point`) over the endpoints laid
/// side by side by weight, in place of nginx's counters, which every pick would write.
/// Cost: a few ns; writes no shared line.
class weighted_round_robin final : public strategy {
public:
    [[nodiscard]] std::string name() const override { return "weighted_round_robin"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = false, .total_in_flight = false, .latency = false};
    }
    [[nodiscard]] plan_scope scope() const noexcept override { return plan_scope::eligible; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
};

}  // namespace levee
