#include "balance/balancer_core.hpp"

#include "levee/core/hash.hpp"

#include <algorithm>
#include <utility>

namespace levee {

void pick_view::read_clock() noexcept {
    now_ = core_->now();
}

bool pick_view::try_reserve(const candidate& one, std::uint32_t at_most) noexcept {
    return core_->try_reserve(*this, one, at_most);
}

std::uint32_t pick_view::total_in_flight() const noexcept {
    return core_->total_in_flight();
}

bool pick_view::admits_restricted(const candidate& one) const noexcept {
    const auto has = [&](std::span<const endpoint_key> keys) {
        return std::find(keys.begin(), keys.end(), one.key_) != keys.end();
    };
    return !has(context_->exclude) && !has(refused_) &&
           (!core_->is_limited() || reserved_ == &one ||
            one.in_flight() < one.state_->limit.load(std::memory_order_relaxed));
}

namespace detail {
namespace {

// A point of [0, 1): of the request's hash where it has one, so that equal requests fare alike.
double unit_of(const pick_context& context, std::uint64_t salt, splitmix64& random) noexcept {
    return context.hash ? static_cast<double>(hash_mix(*context.hash ^ salt) >> 11U) * 0x1p-53
                        : uniform_unit(random);
}

}  // namespace

/// A pick that has to look at more than one list. Its result is `taken`, or `located` for a look-up.
struct balancer_core::attempt {
    const balancer_snapshot& snapshot;
    balancer_cell& mine;
    const pick_context& context;
    time_point now;
    std::vector<endpoint_key> refused{};  // found impossible by trying
    bool has_passed_over = false;         // for slow start
    bool passes_over = true;
    bool is_look_up = false;
    std::optional<ticket> taken{};
    std::optional<endpoint_key> located{};
};

void balancer_core::seed(balancer_cell& mine) noexcept {
    const std::uint64_t number = cells_seeded_.fetch_add(1, std::memory_order_relaxed) + 1;
    mine.random = splitmix64(hash_mix(seed_ + number * 0x9e3779b97f4a7c15));
    for (rotation_place& place : mine.places) {
        place.turn = static_cast<std::uint32_t>(mine.random() >> 32U);
        place.point = mine.random();
    }
    mine.is_seeded = true;
}

void balancer_core::set_up(pick_view& view, const candidate_group& from, balancer_cell& mine,
                           const pick_context& context) noexcept {
    view.lists_ = &from.lists;
    view.context_ = &context;
    view.scale_ = &scale_;
    view.random_ = &mine.random;
    view.place_ = &mine.places[from.number % balancer_cell::groups];
    view.core_ = this;
}

inline void balancer_core::unreserve(pick_view& view) noexcept {
    if (const candidate* const one = std::exchange(view.reserved_, nullptr)) {
        uncount(*one->record_);
    }
}

[[gnu::always_inline]] inline std::optional<ticket> balancer_core::start(pick_view& view,
                                                                         const candidate& chosen,
                                                                         balancer_cell& mine,
                                                                         circuit_breaker::permit&& permit) {
    endpoint_record& record = *chosen.record_;
    if (view.reserved_ != &chosen) {
        unreserve(view);
        if (counts_in_flight_) {
            const std::uint32_t before = chosen.state_->in_flight.fetch_add(1, std::memory_order_relaxed);
            if (before == 0 && needs_.latency) {
                chosen.state_->score.on_busy(view.tick());
            }
        }
        if (needs_.total_in_flight) {
            total_in_flight_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    ledger_entry* entry = mine.has_slot ? mine.ledger.find(record.place) : nullptr;
    if (entry == nullptr && mine.has_slot) [[unlikely]] {
        try {
            entry = &mine.ledger.get(record.index);
        } catch (...) {
        }
    }
    if (entry != nullptr) [[likely]] {
        entry->started.store(entry->started.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
        record.elsewhere.started.fetch_add(1, std::memory_order_relaxed);
    }
    return std::optional<ticket>(std::in_place, record, reads_clock_ ? view.now() : view.now_,
                                 view.context_->attempt == 0, std::move(permit));
}

[[gnu::always_inline]] inline std::optional<ticket> balancer_core::pick_with(balancer_cell& mine,
                                                                             const pick_context& context,
                                                                             pick_refusal* why) {
    pick_refusal reason{};
    if (why == nullptr) {
        why = &reason;
    }
    for (bool has_refreshed = false;; has_refreshed = true) {
        {
            const auto pinned = epoch::pin();
            const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
            if (snapshot.is_plain && context.exclude.empty() && context.sticky.empty()) [[likely]] {
                pick_view view;
                set_up(view, snapshot.tiers.front().all, mine, context);
                const candidate* const chosen = strategy_->pick(view);
                if (chosen != nullptr && chosen->is_eligible_) [[likely]] {
                    *why = pick_refusal::none;
                    return start(view, *chosen, mine, {});
                }
                unreserve(view);
                return pick_carefully(snapshot, mine, context, *why);
            }
            if (has_refreshed || !snapshot.is_timed || now() < snapshot.next_event) {
                return pick_carefully(snapshot, mine, context, *why);
            }
        }
        try {
            refresh();  // not pinned: it may take a while, and runs the strategy's prepare
        } catch (...) {
            // The old snapshot will do, and the next pick tries again.
        }
    }
}

std::optional<ticket> balancer_core::pick(const pick_context& context, pick_refusal* why) {
    balancer_cell* const mine = cells_.try_local();
    if (mine == nullptr) [[unlikely]] {
        return pick_without_slot(context, why);
    }
    if (!mine->is_seeded) [[unlikely]] {
        seed(*mine);
        mine->has_slot = true;
    }
    return pick_with(*mine, context, why);
}

std::optional<ticket> balancer_core::pick_without_slot(const pick_context& context, pick_refusal* why) {
    balancer_cell stand_in;
    seed(stand_in);
    return pick_with(stand_in, context, why);
}

// As `pick_with`, without a ticket.
std::optional<endpoint_key> balancer_core::locate(const pick_context& context) {
    balancer_cell* const mine = cells_.try_local();
    if (mine == nullptr) [[unlikely]] {
        balancer_cell stand_in;
        seed(stand_in);
        return locate_with(stand_in, context);
    }
    if (!mine->is_seeded) [[unlikely]] {
        seed(*mine);
        mine->has_slot = true;
    }
    {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        if (snapshot.is_plain && context.exclude.empty() && context.sticky.empty()) [[likely]] {
            pick_view view;
            set_up(view, snapshot.tiers.front().all, *mine, context);
            const candidate* const chosen = strategy_->pick(view);
            unreserve(view);
            if (chosen != nullptr && chosen->is_eligible_) [[likely]] {
                return chosen->key_;
            }
        }
    }
    return locate_with(*mine, context);
}

std::optional<endpoint_key> balancer_core::locate_with(balancer_cell& mine, const pick_context& context) {
    bool is_due = false;
    {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        is_due = snapshot.is_timed && now() >= snapshot.next_event;
    }
    if (is_due) {
        try {
            refresh();
        } catch (...) {
            // As in `pick_with`.
        }
    }
    const auto pinned = epoch::pin();
    const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
    attempt trying{.snapshot = snapshot, .mine = mine, .context = context, .now = now()};
    trying.is_look_up = true;
    pick_by_all(trying);
    return trying.located;
}

bool balancer_core::try_reserve(pick_view& view, const candidate& one, std::uint32_t at_most) noexcept {
    unreserve(view);
    if (counts_in_flight_) {
        const std::uint32_t bound = (std::min)(at_most, one.state_->limit.load(std::memory_order_relaxed));
        // Added first, looked at afterwards: of threads that meet here, no more than fit stay.
        const std::uint32_t before = one.state_->in_flight.fetch_add(1, std::memory_order_relaxed);
        if (before >= bound) {
            one.state_->in_flight.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        if (before == 0 && needs_.latency) {
            one.state_->score.on_busy(view.tick());
        }
    }
    if (needs_.total_in_flight) {
        total_in_flight_.fetch_add(1, std::memory_order_relaxed);
    }
    view.reserved_ = &one;
    return true;
}

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
        const candidate* chosen = strategy_->pick(view);
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

}  // namespace detail
}  // namespace levee
