#include "balance/balancer_core.hpp"

#include <algorithm>
#include <utility>

namespace levee::detail {

// Who can be picked now, and when that will be different.
void balancer_core::judge(const endpoint_list& list, time_point at, balancer_snapshot& into) {
    if (judge_once(list, at, into)) {
        judge_once(list, at, into);
    }
}

// True if ejections were lifted, so that it has to be done again.
bool balancer_core::judge_once(const endpoint_list& list, time_point at, balancer_snapshot& into) {
    into.is_timed = into.is_starting = into.is_recovering = false;
    into.next_event = (time_point::max)();
    double sum = 0.0;
    std::size_t known = 0;
    for (std::size_t i = 0; i < into.listings.size(); ++i) {
        const auto& weight = into.listings[i].data->weight;
        if (into.listings[i].record && weight && *weight > 0.0) {
            sum += *weight;
            known += 1;
        }
    }
    const double unknown = known == 0 ? 1.0 : sum / static_cast<double>(known);
    const auto due = [&](time_point when) {
        into.is_timed = true;
        into.next_event = (std::min)(into.next_event, when);
    };
    std::size_t members = 0, eligible = 0, ejected = 0;
    const std::lock_guard lock(outlier_mutex_);
    for (std::size_t i = 0; i < into.listings.size(); ++i) {
        listing& one = into.listings[i];
        const listed_endpoint& listed = list.endpoints[i];
        one.weight = listed.data->weight.value_or(unknown);
        one.why_not = ineligibility::none;
        if (one.weight == 0.0 || listed.is_draining) {
            one.why_not = ineligibility::drained;
            continue;
        }
        if (!one.record) {
            one.why_not = ineligibility::other_subset;
            continue;
        }
        members += 1;
        endpoint_state& state = *one.record->state;
        endpoint_extras& extras = *state.extras;
        extras.priority = listed.data->priority;
        const bool is_ejected = extras.history.is_ejected(at);
        if (is_ejected) {
            ejected += 1;
            due(extras.history.ejected_until());
        }
        if (!listed.is_healthy) {
            one.why_not = ineligibility::unhealthy;
        } else if (is_ejected) {
            one.why_not = ineligibility::ejected;
        } else if (extras.breaker) {
            const circuit_state circuit = extras.breaker->state(at);
            if (circuit == circuit_state::open || circuit == circuit_state::forced_open) {
                one.why_not = ineligibility::circuit_open;
                if (circuit == circuit_state::open) {
                    due(extras.breaker->next_attempt_at());
                }
            }
        }
        if (one.why_not != ineligibility::none) {
            extras.was_eligible = false;
            extras.started_at.store((duration::min)().count(), std::memory_order_relaxed);
            continue;
        }
        eligible += 1;
        if (!extras.was_eligible) {
            extras.was_eligible = true;
            state.failures_in_row.store(0, std::memory_order_relaxed);
            if (!is_first_ && options_.slow_start > duration::zero()) {
                extras.started_at.store(at.time_since_epoch().count(), std::memory_order_relaxed);
            }
        }
        const time_point started{duration(extras.started_at.load(std::memory_order_relaxed))};
        if (started != (time_point::min)() && at < after(started, options_.slow_start)) {
            into.is_starting = true;
            due(after(started, options_.slow_start));
        }
    }
    members_ = members;
    eligible_ = eligible;
    ejected_ = ejected;
    if (eligible == 0 && members > 0) {
        is_outage_ = true;
        recovery_began_.reset();
        if (detector_) {
            notice_outage_locked(at);
        }
    } else if (std::exchange(is_outage_, false)) {
        recovery_began_ = at;
        if (awaits_success_.load(std::memory_order_relaxed)) {
            lift_locked(into, at);
            return true;
        }
    }
    if (recovery_began_ && options_.recovery_ramp > duration::zero()) {
        const time_point ends = after(*recovery_began_, options_.recovery_ramp);
        if (at >= ends) {
            recovery_began_.reset();
        } else {
            into.is_recovering = true;
            into.recovery_began = *recovery_began_;
            into.recovery_floor = static_cast<double>(eligible) / static_cast<double>(members);
            due(ends);
        }
    }
    return false;
}

}  // namespace levee::detail
