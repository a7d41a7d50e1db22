#include "balance/balancer_attempt.hpp"

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

std::optional<ticket> balancer_core::pick(const pick_context& context, pick_refusal* why) {
    balancer_cell* const mine = cells_.find_local();
    if (mine != nullptr && mine->is_seeded) [[likely]] {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        if (snapshot.is_plain && context.exclude.empty() && context.sticky.empty()) [[likely]] {
            pick_view view;
            set_up(view, snapshot.tiers.front().all, *mine, context);
            if (reads_clock_) {
                view.now_ = now();
            }
            const candidate* const chosen = ask_strategy(view);
            if (chosen != nullptr && chosen->is_eligible_) [[likely]] {
                if (why != nullptr) {
                    *why = pick_refusal::none;
                }
                return start(view, *chosen, *mine, {});
            }
            unreserve(view);
        }
    }
    return pick_slowly(context, why);
}

// Apart, so that the above stays small: it is most of what a pick costs.
std::optional<ticket> balancer_core::pick_slowly(const pick_context& context, pick_refusal* why) {
    pick_refusal reason{};
    if (why == nullptr) {
        why = &reason;
    }
    balancer_cell* const mine = cells_.try_local();
    if (mine == nullptr) [[unlikely]] {
        balancer_cell stand_in;
        seed(stand_in);
        return pick_with(stand_in, context, *why);
    }
    if (!mine->is_seeded) {
        seed(*mine);
        mine->has_slot = true;
    }
    return pick_with(*mine, context, *why);
}

std::optional<ticket> balancer_core::pick_with(balancer_cell& mine, const pick_context& context,
                                               pick_refusal& why) {
    refresh_if_due();
    const auto pinned = epoch::pin();
    return pick_carefully(*current_.load(std::memory_order_acquire), mine, context, why);
}

// Not pinned: it may take a while, and runs the strategy's prepare.
void balancer_core::refresh_if_due() noexcept {
    {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        if (!snapshot.is_timed || now() < snapshot.next_event) {
            return;
        }
    }
    try {
        refresh();
    } catch (...) {  // NOLINT(bugprone-empty-catch)
        // The old snapshot will do, and the next pick tries again.
    }
}

// As `pick`, without a ticket.
bool balancer_core::locate(const pick_context& context, endpoint_key& found) {
    balancer_cell* const mine = cells_.find_local();
    if (mine != nullptr && mine->is_seeded) [[likely]] {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        if (snapshot.is_plain && context.exclude.empty() && context.sticky.empty()) [[likely]] {
            pick_view view;
            set_up(view, snapshot.tiers.front().all, *mine, context);
            const candidate* const chosen = ask_strategy(view);
            unreserve(view);
            if (chosen != nullptr && chosen->is_eligible_) [[likely]] {
                found = chosen->key_;
                return true;
            }
        }
    }
    return locate_slowly(context, found);
}

bool balancer_core::locate_slowly(const pick_context& context, endpoint_key& found) {
    balancer_cell* const mine = cells_.try_local();
    if (mine == nullptr) [[unlikely]] {
        balancer_cell stand_in;
        seed(stand_in);
        return locate_with(stand_in, context, found);
    }
    if (!mine->is_seeded) {
        seed(*mine);
        mine->has_slot = true;
    }
    return locate_with(*mine, context, found);
}

bool balancer_core::locate_with(balancer_cell& mine, const pick_context& context, endpoint_key& found) {
    refresh_if_due();
    const auto pinned = epoch::pin();
    const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
    attempt trying{.snapshot = snapshot, .mine = mine, .context = context, .now = now()};
    trying.is_look_up = true;
    pick_by_all(trying);
    found = trying.located.value_or(0);
    return trying.located.has_value();
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

}  // namespace detail
}  // namespace levee
