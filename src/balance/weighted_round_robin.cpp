#include "levee/balance/weighted_round_robin.hpp"

#include "balance/weighted_table.hpp"

namespace levee {

using balance_detail::weighted_table;

std::shared_ptr<const strategy_plan> weighted_round_robin::prepare(
    std::span<const candidate> candidates) const {
    return std::make_shared<weighted_table>(candidates);
}

const candidate* weighted_round_robin::pick(pick_view& view) const {
    const auto& table = view.plan<weighted_table>();
    const auto count = static_cast<std::uint32_t>(view.size());
    if (!table.is_even()) {
        for (int tries = 0; tries < 8; ++tries) {
            const candidate& next = view[table.find(view.even_point())];
            if (view.admits(next)) [[likely]] {
                return &next;
            }
        }
    }
    // Equal weights; or most are not admitted, and whoever is will do.
    for (std::uint32_t tries = 0; tries < count; ++tries) {
        const candidate& next = view[view.turn(count)];
        if (view.admits(next)) [[likely]] {
            return &next;
        }
    }
    return nullptr;
}

}  // namespace levee
