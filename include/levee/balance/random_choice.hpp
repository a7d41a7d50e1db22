/// Any endpoint.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

/// At random, each as often as its weight says. Needs no state, and is worse than anything that looks.
///
/// Cost: a few ns; writes no shared line.
class random_choice final : public strategy {
public:
    [[nodiscard]] std::string name() const override { return "random"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = false, .total_in_flight = false, .latency = false};
    }
    [[nodiscard]] plan_scope scope() const noexcept override { return plan_scope::eligible; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
};

}  // namespace levee
