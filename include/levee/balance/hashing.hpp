/// What the hashing strategies have in common.
#pragma once

#include "levee/balance/strategy.hpp"

namespace levee {

/// Defaults: no bound.
struct bounded_load_options {
    /// No endpoint gets more than this many times its share of the requests in flight; the keys beyond go
    /// to the next endpoints in the key's own order. (Mirrokni, Thorup, Zadimoghaddam 2018.) Zero: no bound;
    /// otherwise above 1; 1.25 is usual. Costs two counts that every pick
    /// writes.
    double bounded_load = 0.0;
};

/// A strategy that sends equal hashes to the same endpoint, by the endpoints' ids: their order in the set
/// does not matter, an endpoint that cannot be picked moves only its own keys, and when it is back they are
/// back. A pick without a hash goes by a random one.
class hashing_strategy : public strategy {
public:
    [[nodiscard]] strategy_needs needs() const noexcept override {
        return {.in_flight = bound_ > 0.0, .total_in_flight = bound_ > 0.0, .latency = false};
    }
    [[nodiscard]] plan_scope scope() const noexcept override { return plan_scope::members; }

protected:
    /// Errors: std::invalid_argument.
    explicit hashing_strategy(double bounded_load);

    /// The hash that this pick goes by.
    [[nodiscard]] static std::uint64_t hash_of(pick_view& view) noexcept {
        const auto& hash = view.context().hash;
        return hash ? *hash : view.random();
    }

    /// Whether `one` may be taken, the bound included, which counts the request if so.
    [[nodiscard]] bool takes(pick_view& view, const candidate& one) const noexcept {
        return view.admits(one) && (!(bound_ > 0.0) || view.try_reserve(one, most_for(view, one)));
    }

private:
    [[nodiscard]] std::uint32_t most_for(const pick_view& view, const candidate& one) const noexcept;

    double bound_;
};

}  // namespace levee
