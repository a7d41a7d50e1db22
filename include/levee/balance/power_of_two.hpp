/// The less loaded of two endpoints drawn at random.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

struct power_of_two_options {
    std::uint32_t choices = 2;  ///< How many are drawn. In [2, 16].
};

/// Draws by weight and compares (requests in flight + 1) ÷ weight (Mitzenmacher 2001). Clients that know
/// only their own requests do not all run to the same endpoint, as they do with `least_connections`.
///
/// Cost: reads the lines of those drawn, writes the line of the one picked.
class power_of_two final : public strategy {
public:
    /// Errors: std::invalid_argument.
    explicit power_of_two(const power_of_two_options& options = {});

    [[nodiscard]] std::string name() const override { return "power_of_two"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = true, .total_in_flight = false, .latency = false};
    }
    [[nodiscard]] plan_scope scope() const noexcept override { return plan_scope::eligible; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
    [[nodiscard]] double score(const candidate& of, pick_view& view) const override;

private:
    [[nodiscard]] const candidate* pick_among(pick_view& view) const;

    power_of_two_options options_;
};

}  // namespace levee
