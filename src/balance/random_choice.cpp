#include "levee/balance/random_choice.hpp"

#include "balance/best_of.hpp"

namespace levee {

using balance_detail::weighted_table;

std::shared_ptr<const strategy_plan> random_choice::prepare(std::span<const candidate> candidates) const {
    return std::make_shared<weighted_table>(candidates);
}

const candidate* random_choice::pick(pick_view& view) const {
    const candidate* chosen = nullptr;
    balance_detail::for_some(view, view.plan<weighted_table>(), 1,
                             [&](const candidate& one) { chosen = chosen == nullptr ? &one : chosen; });
    return chosen;
}

}  // namespace levee
