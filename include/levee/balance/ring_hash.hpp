/// Consistent hashing on a ring.
#pragma once

#include "levee/balance/hashing.hpp"

namespace levee {

struct ring_hash_options {
    /// Points for an endpoint of mean weight: more are more even. In [1, 10,000].
    std::uint32_t points = 160;
    double bounded_load = 0.0;  ///< See `bounded_load_options`.
};

/// Consistent hashing (Karger and others 1997), in the manner of ketama (Jones 2007): a key belongs to the
/// next point clockwise. Losing or adding an endpoint moves its own keys only; less even than `maglev`.
///
/// Cost: one step into the ring, found by the hash's upper bits; writes no shared line without a bound.
class ring_hash final : public hashing_strategy {
public:
    /// Errors: std::invalid_argument.
    explicit ring_hash(const ring_hash_options& options = {});

    [[nodiscard]] std::string name() const override { return "ring_hash"; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;

private:
    ring_hash_options options_;
};

}  // namespace levee
