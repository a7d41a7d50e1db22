#include "levee/balance/hashing.hpp"

#include "balance/option_error.hpp"

#include <cmath>

namespace levee {

hashing_strategy::hashing_strategy(double bounded_load) : bound_(bounded_load) {
    if (!(bounded_load == 0.0 || (bounded_load > 1.0 && bounded_load <= 1000.0))) {
        balance_detail::refuse_option("bounded_load", balance_detail::option_text(bounded_load),
                                      "0 or in (1, 1000]");
    }
}

// Its share of what is under way, this request included, times the bound, rounded up: so all the bounds
// together always have room for one more.
std::uint32_t hashing_strategy::most_for(const pick_view& view, const candidate& one) const noexcept {
    const double share =
        (static_cast<double>(view.total_in_flight()) + 1.0) * one.weight() / view.total_weight();
    return static_cast<std::uint32_t>(std::ceil(bound_ * share));
}

}  // namespace levee
