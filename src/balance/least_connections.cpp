#include "levee/balance/least_connections.hpp"

#include "balance/best_of.hpp"

namespace levee {
namespace {

double load_of(const candidate& one) noexcept {
    return static_cast<double>(one.in_flight() + 1) / one.weight();
}

}  // namespace

const candidate* least_connections::pick(pick_view& view) const {
    const candidate* best = nullptr;
    double least = 0.0;
    balance_detail::for_all(view, [&](const candidate& one) {
        const double load = load_of(one);
        if (best == nullptr || load < least) {
            best = &one;
            least = load;
        }
    });
    return best;
}

double least_connections::score(const candidate& of, pick_view&) const {
    return load_of(of);
}

}  // namespace levee
