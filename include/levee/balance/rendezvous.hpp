/// Hashing by the highest score.
#pragma once

#include "levee/balance/hashing.hpp"

namespace levee {

struct rendezvous_options {
    double bounded_load = 0.0;  ///< See `bounded_load_options`.
};

/// Highest random weight (Thaler, Ravishankar 1998; weights by logarithms, Resch 2015): even, and a lost or
/// added endpoint moves its own keys only.
///
/// Cost: looks at every endpoint, about 2 ns each, 20 with weights: for up to some dozens.
class rendezvous final : public hashing_strategy {
public:
    /// Errors: std::invalid_argument.
    explicit rendezvous(const rendezvous_options& options = {});

    [[nodiscard]] std::string name() const override { return "rendezvous"; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;
};

}  // namespace levee
