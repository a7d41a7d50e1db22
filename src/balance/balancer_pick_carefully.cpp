// Picks that have more to ask than the strategy: tiers and zones, limits and circuits, slow start, recovery,
// stickiness.
#include "balance/balancer_attempt.hpp"

#include "levee/core/hash.hpp"

#include <algorithm>
#include <utility>

namespace levee::detail {
namespace {

// A point of [0, 1): of the request's hash where it has one, so that equal requests fare alike.
double unit_of(const pick_context& context, std::uint64_t salt, splitmix64& random) noexcept {
    return context.hash ? static_cast<double>(hash_mix(*context.hash ^ salt) >> 11U) * 0x1p-53
                        : uniform_unit(random);
}

}  // namespace

std::optional<ticket> balancer_core::pick_carefully(const balancer_snapshot& snapshot, balancer_cell& mine,
                                                    const pick_context& context, pick_refusal& why) {
    attempt trying{.snapshot = snapshot, .mine = mine, .context = context, .now = now()};
    std::optional<pick_explanation> explanation;
    if (options_.explain_picks > 0) {
        explanation = describe(snapshot, mine, context);
    }
    bool is_let_through = true;
    if (snapshot.is_recovering && !snapshot.tiers.empty()) {
        const double passed = static_cast<double>((trying.now - snapshot.recovery_began).count()) /
                              static_cast<double>(options_.recovery_ramp.count());
        is_let_through = uniform_unit(mine.random) < (std::max)(snapshot.recovery_floor, passed);
    }
    if (is_let_through) {
        pick_by_all(trying);
    }
    std::optional<ticket>& result = trying.taken;
    why = result ? pick_refusal::none : !is_let_through ? pick_refusal::recovering : why_nothing(trying);
    if (explanation) {
        explanation->picked = result ? result->endpoint().id : std::string();
        explanation->refusal = why;
        remember(std::move(*explanation));
    }
    return std::move(result);
}

bool balancer_core::pick_by_all(attempt& trying) {
    if (!trying.context.sticky.empty() && pick_sticky(trying)) {
        return true;
    }
    if (pick_by_tiers(trying)) {
        return true;
    }
    if (!trying.has_passed_over) {
        return false;
    }
    trying.passes_over = false;  // better one that has just started than none
    trying.refused.clear();
    return pick_by_tiers(trying);
}

bool balancer_core::pick_by_tiers(attempt& trying) {
    const auto& tiers = trying.snapshot.tiers;
    std::size_t first = 0;
    if (tiers.size() > 1) {
        double point = unit_of(trying.context, 0x7469657273, trying.mine.random);
        while (first + 1 < tiers.size() && point >= tiers[first].load) {
            point -= tiers[first].load;
            ++first;
        }
        if (tiers[first].load == 0.0) {
            first = 0;
        }
    }
    const auto from_tier = [&](const tier& one) {
        const std::string_view zone =
            trying.context.zone.empty() ? std::string_view(options_.zone) : trying.context.zone;
        if (!one.all.is_panic) {
            for (const auto& [name, local] : one.zones) {
                if (name == zone) {
                    const double share = local.fitness * options_.overprovision;
                    if (share >= 1.0 || unit_of(trying.context, 0x7a6f6e65, trying.mine.random) < share) {
                        if (pick_from(trying, local)) {
                            return true;
                        }
                    }
                    break;
                }
            }
        }
        return pick_from(trying, one.all);
    };
    if (tiers.empty()) {
        return false;
    }
    if (from_tier(tiers[first])) {
        return true;
    }
    for (std::size_t i = 0; i < tiers.size(); ++i) {
        if (i != first && from_tier(tiers[i])) {
            return true;
        }
    }
    return false;
}

bool balancer_core::pick_from(attempt& trying, const candidate_group& from) {
    // Each round ends the pick or rules one candidate out.
    for (std::size_t round = 0; round <= from.eligible.size() && !from.eligible.empty(); ++round) {
        pick_view view;
        set_up(view, from, trying.mine, trying.context);
        view.now_ = trying.now;
        view.refused_ = trying.refused;
        view.is_restricted_ = is_limited_ || !trying.context.exclude.empty() || !trying.refused.empty();
        const candidate* chosen = ask_strategy(view);
        if (chosen == nullptr || !view.admits(*chosen)) {
            unreserve(view);
            const auto found = std::find_if(from.eligible.begin(), from.eligible.end(),
                                            [&](const candidate& one) { return view.admits(one); });
            if (found == from.eligible.end()) {
                return false;
            }
            chosen = &*found;
        }
        if (take(trying, view, *chosen)) {
            return true;
        }
    }
    return false;
}

bool balancer_core::take(attempt& trying, pick_view& view, const candidate& one) {
    if (is_passed_over(trying, one)) {
        trying.has_passed_over = true;
    } else if (trying.is_look_up) {
        unreserve(view);
        trying.located = one.key_;
        return true;
    } else if (!is_limited_ || view.reserved_ == &one || try_reserve(view, one, ~std::uint32_t{0})) {
        circuit_breaker::permit permit;
        auto& breaker = one.state_->extras->breaker;
        if (breaker) {
            permit = breaker->try_acquire(trying.now);
        }
        if (!breaker || permit) {
            trying.taken = start(view, one, trying.mine, std::move(permit));
            return true;
        }
    }
    unreserve(view);
    trying.refused.push_back(one.key_);
    return false;
}

bool balancer_core::is_passed_over(attempt& trying, const candidate& one) noexcept {
    if (!trying.snapshot.is_starting || !trying.passes_over) {
        return false;
    }
    const time_point began{duration(one.state_->extras->started_at.load(std::memory_order_relaxed))};
    const time_point ends = after(began, options_.slow_start);
    if (trying.now >= ends) {
        return false;
    }
    const double passed = 1.0 - static_cast<double>((ends - trying.now).count()) /
                                    static_cast<double>(options_.slow_start.count());
    return unit_of(trying.context, one.key_, trying.mine.random) >=
           (std::max)(options_.slow_start_floor, passed);
}

bool balancer_core::pick_sticky(attempt& trying) {
    const endpoint_key key = levee::key_of(trying.context.sticky);
    for (const tier& one : trying.snapshot.tiers) {
        for (const candidate& each : one.all.eligible) {
            if (each.key_ == key && each.endpoint().id == trying.context.sticky) {
                pick_view view;
                set_up(view, one.all, trying.mine, trying.context);
                view.now_ = trying.now;
                view.is_restricted_ = is_limited_ || !trying.context.exclude.empty();
                if (!view.admits(each)) {
                    return false;
                }
                const bool passes_over = std::exchange(trying.passes_over, false);
                const bool is_taken = take(trying, view, each);
                trying.passes_over = passes_over;
                return is_taken;
            }
        }
    }
    return false;
}

pick_refusal balancer_core::why_nothing(const attempt& trying) const noexcept {
    bool is_any_eligible = false;
    bool is_any_left = false;
    for (const tier& one : trying.snapshot.tiers) {
        for (const candidate& each : one.all.eligible) {
            is_any_eligible = true;
            const auto& excluded = trying.context.exclude;
            if (std::find(excluded.begin(), excluded.end(), each.key_) == excluded.end()) {
                is_any_left = true;
                if (is_limited_ && each.in_flight() >= each.state_->limit.load(std::memory_order_relaxed)) {
                    return pick_refusal::busy;
                }
            }
        }
    }
    return trying.snapshot.tiers.empty()     ? pick_refusal::no_endpoints
           : is_any_eligible && !is_any_left ? pick_refusal::excluded
                                             : pick_refusal::unavailable;
}

}  // namespace levee::detail
