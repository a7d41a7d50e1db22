/// Each endpoint in turn.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

/// Strictly in turn, whatever the weights (0 still drains); each thread has its own turn, begun at random,
/// so that many clients do not go round in step. Not for endpoints that differ in speed.
///
/// Cost: a few ns; writes no shared line.
class round_robin final : public strategy {
public:
    [[nodiscard]] std::string name() const override { return "round_robin"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = false, .total_in_flight = false, .latency = false};
    }
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
};

}  // namespace levee
