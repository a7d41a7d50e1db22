#include "balance/balancer_core.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace levee {

std::string_view to_string(ineligibility why) noexcept {
    constexpr std::string_view words[] = {"",        "drained",  "other subset", "unhealthy", "ejected",
                                          "circuit", "excluded", "at limit",     "starting",  "other tier"};
    return words[static_cast<std::size_t>(why)];
}

std::string to_string(const pick_explanation& explanation) {
    std::string text;
    char line[160];
    for (const candidate_explanation& one : explanation.candidates) {
        const std::string_view why = to_string(one.why_not);
        std::snprintf(line, sizeof line, "  score %-12.6g in flight %-6u weight %-8.6g %.*s\n", one.score,
                      one.in_flight, one.weight, static_cast<int>(why.size()), why.data());
        text += one.id == explanation.picked ? "* " : "  ";
        text += one.id;
        text += line;
    }
    return text;
}

namespace detail {

pick_explanation balancer_core::describe(const balancer_snapshot& snapshot, balancer_cell& mine,
                                         const pick_context& context) {
    pick_explanation made;
    made.at = now();
    made.hash = context.hash;
    std::unordered_map<const endpoint_state*, double> scores;
    for (const tier& one : snapshot.tiers) {
        made.is_panic |= one.all.is_panic;
        pick_view view;
        set_up(view, one.all, mine, context);
        view.now_ = made.at;
        for (const candidate& each : one.all.members) {
            scores.emplace(each.state_, strategy_->score(each, view));
        }
    }
    for (const listing& one : snapshot.listings) {
        candidate_explanation& added = made.candidates.emplace_back();
        added.id = one.data->id;
        added.weight = one.weight;
        added.why_not = one.why_not;
        if (!one.record) {
            continue;
        }
        const endpoint_state& state = *one.record->state;
        const auto found = scores.find(&state);
        added.score = found == scores.end() ? 0.0 : found->second;
        added.in_flight = static_cast<std::uint32_t>(totals(*one.record).in_flight());
        const time_point started{duration(state.extras->started_at.load(std::memory_order_relaxed))};
        if (one.why_not != ineligibility::none) {
            continue;
        }
        if (std::find(context.exclude.begin(), context.exclude.end(), one.record->key) !=
            context.exclude.end()) {
            added.why_not = ineligibility::excluded;
        } else if (is_limited_ && state.in_flight.load(std::memory_order_relaxed) >=
                                      state.limit.load(std::memory_order_relaxed)) {
            added.why_not = ineligibility::at_limit;
        } else if (snapshot.is_starting && made.at < after(started, options_.slow_start)) {
            added.why_not = ineligibility::starting;
        } else if (one.data->priority != snapshot.tiers.front().priority &&
                   snapshot.tiers.front().load >= 1.0) {
            added.why_not = ineligibility::other_tier;
        }
    }
    return made;
}

void balancer_core::remember(pick_explanation&& explanation) {
    std::optional<pick_explanation> oldest;  // freed after the lock
    const std::lock_guard lock(explain_mutex_);
    explained_.push_back(std::move(explanation));
    if (explained_.size() > options_.explain_picks) {
        oldest = std::move(explained_.front());
        explained_.pop_front();
    }
}

std::vector<pick_explanation> balancer_core::explain() const {
    const std::lock_guard lock(explain_mutex_);
    return {explained_.begin(), explained_.end()};
}

std::vector<endpoint_status> balancer_core::status() {
    const time_point at = now();
    const std::uint32_t tick = scale_.tick(at);
    const auto pinned = epoch::pin();
    const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
    std::vector<endpoint_status> all;
    all.reserve(snapshot.listings.size());
    for (const listing& one : snapshot.listings) {
        endpoint_status& added = all.emplace_back();
        added.id = one.data->id;
        added.weight = one.weight;
        added.priority = one.data->priority;
        added.zone = one.data->zone;
        added.why_not = one.why_not;
        if (!one.record) {
            continue;
        }
        const endpoint_state& state = *one.record->state;
        ledger_totals counted = totals(*one.record);
        added.in_flight =
            counts_in_flight_ ? state.in_flight.load(std::memory_order_relaxed) : counted.in_flight();
        counted += one.record->carried;
        added.picks = counted.started;
        added.failures = counted.failed;
        added.cancelled = counted.cancelled;
        const std::uint32_t limit = state.limit.load(std::memory_order_relaxed);
        added.limit = limit == ~std::uint32_t{0} ? 0 : limit;
        if (needs_.latency) {
            const float latency =
                state.score.latency(state.in_flight.load(std::memory_order_relaxed), tick, scale_);
            if (latency >= 0.0F) {
                added.latency = duration(static_cast<duration::rep>(latency));
            }
            added.errors = static_cast<double>(state.score.errors(tick, scale_));
        }
        {
            const std::lock_guard lock(outlier_mutex_);
            added.ejections = state.extras->history.ejections();
        }
        if (state.extras->breaker) {
            added.circuit = state.extras->breaker->state(at);
        }
    }
    return all;
}

std::size_t balancer_core::draining() {
    refresh();
    return draining_.load(std::memory_order_relaxed);
}

}  // namespace detail
}  // namespace levee
