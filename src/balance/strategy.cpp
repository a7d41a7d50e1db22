#include "levee/balance/strategy.hpp"

namespace levee {

std::shared_ptr<const strategy_plan> strategy::prepare(std::span<const candidate>) const {
    return nullptr;
}

double strategy::score(const candidate&, pick_view&) const {
    return 0.0;
}

}  // namespace levee
