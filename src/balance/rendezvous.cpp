#include "levee/balance/rendezvous.hpp"

#include "balance/highest_score.hpp"

namespace levee {

rendezvous::rendezvous(const rendezvous_options& options) : hashing_strategy(options.bounded_load) {}

std::shared_ptr<const strategy_plan> rendezvous::prepare(std::span<const candidate> candidates) const {
    return std::make_shared<balance_detail::highest_score>(candidates);
}

const candidate* rendezvous::pick(pick_view& view) const {
    return balance_detail::by_score(view, hash_of(view), view.plan<balance_detail::highest_score>().is_even(),
                                    [&](const candidate& one) { return takes(view, one); });
}

}  // namespace levee
