/// The endpoint with the fewest requests in flight.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

/// Compares all by (requests in flight + 1) ÷ weight; of equals, the next in turn. What fails fast has few
/// in flight and attracts requests: keep the outlier detector on.
///
/// Cost: reads the line of every endpoint; for large sets take `power_of_two`.
class least_connections final : public strategy {
public:
    [[nodiscard]] std::string name() const override { return "least_connections"; }
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = true, .total_in_flight = false, .latency = false};
    }
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
    [[nodiscard]] double score(const candidate& of, pick_view& view) const override;
};

}  // namespace levee
