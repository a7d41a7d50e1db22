#include "levee/balance/power_of_two.hpp"

#include "balance/best_of.hpp"
#include "balance/option_error.hpp"

namespace levee {
namespace {

using balance_detail::weighted_table;

float load_of(const candidate& one) noexcept {
    return static_cast<float>(one.in_flight() + 1) * one.inverse_weight();
}

}  // namespace

power_of_two::power_of_two(const power_of_two_options& options) : options_(options) {
    if (options.choices < 2 || options.choices > 16) {
        balance_detail::refuse_option("power_of_two_options::choices", std::to_string(options.choices),
                                      "in [2, 16]");
    }
}

std::shared_ptr<const strategy_plan> power_of_two::prepare(std::span<const candidate> candidates) const {
    return std::make_shared<weighted_table>(candidates);
}

const candidate* power_of_two::pick(pick_view& view) const {
    if (balance_detail::is_simple_pair(view, view.plan<weighted_table>(), options_.choices)) [[likely]] {
        const auto [a, b] = balance_detail::draw_pair(view);
        return balance_detail::choose(a, b, load_of(*b) < load_of(*a));
    }
    return pick_among(view);
}

const candidate* power_of_two::pick_among(pick_view& view) const {
    const candidate* best = nullptr;
    float least = 0.0F;
    balance_detail::for_some(view, view.plan<weighted_table>(), options_.choices, [&](const candidate& one) {
        const float load = load_of(one);
        if (best == nullptr || load < least) {
            best = &one;
            least = load;
        }
    });
    return best;
}

double power_of_two::score(const candidate& of, pick_view&) const {
    return static_cast<double>(load_of(of));
}

}  // namespace levee
