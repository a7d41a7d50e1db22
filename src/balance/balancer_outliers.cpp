#include "balance/balancer_core.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace levee::detail {

outlier_detector::totals balancer_core::judged(const endpoint_record& record) const noexcept {
    ledger_totals seen = totals(record);
    seen += record.carried;
    const std::uint64_t others = seen.failed + seen.cancelled + seen.overloaded;
    return {seen.completed - (std::min)(seen.completed, others), seen.failed};
}

void balancer_core::count_failure(endpoint_record& record, time_point now) {
    if (!detector_) {
        return;
    }
    endpoint_state& state = *record.state;
    const std::uint32_t in_row = state.failures_in_row.fetch_add(1, std::memory_order_relaxed) + 1;
    outlier_detector::totals so_far = judged(record);
    so_far.failed += 1;  // this one is counted when it has finished
    bool is_out = false;
    {
        const std::lock_guard lock(outlier_mutex_);
        auto& history = state.extras->history;
        const double share = detector_->on_failure(history, in_row, so_far, now);
        // Looked at even if there can be no ejection: an outage of all may have to be noticed.
        if (share > 0.0 && is_outlier_locked(record, share, now) &&
            detector_->allows(members_, ejected_, eligible_)) {
            detector_->eject(history, now);
            ejected_ += 1;
            eligible_ -= 1;
            is_out = true;
        }
    }
    if (is_out) {
        refresh();
    }
}

// Compares with those that would get the requests instead: the eligible ones, its own tier's by majority; of
// another tier one that works is enough. Of large sets, with some, and each time with others.
bool balancer_core::is_outlier_locked(const endpoint_record& record, double share, time_point now) {
    constexpr std::size_t most = 128;
    const auto pinned = epoch::pin();
    const auto& listings = current_.load(std::memory_order_acquire)->listings;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
    std::array<const endpoint_record*, most> working;  // of its tier, as far as their last request tells
    std::size_t working_here = 0, here = 0, working_elsewhere = 0, looked_at = 0;
    const std::size_t first = compared_from_;
    for (std::size_t i = 0; i < listings.size() && looked_at < most; ++i) {
        const listing& one = listings[(first + i) % listings.size()];
        compared_from_ = (first + i + 1) % listings.size();
        if (one.why_not != ineligibility::none || one.record->state == record.state ||
            one.record->state->extras->history.is_ejected(now)) {
            continue;
        }
        looked_at += 1;
        const bool is_working = one.record->state->failures_in_row.load(std::memory_order_relaxed) == 0;
        if (one.record->state->extras->priority != record.state->extras->priority) {
            working_elsewhere += is_working ? 1U : 0U;
            continue;
        }
        here += 1;
        if (is_working) {
            working[working_here++] = one.record.get();
        }
    }
    if (working_elsewhere > 0) {
        return true;
    }
    if (working_here == 0) {
        notice_outage_locked(now);
        return false;
    }
    std::size_t alike = here - working_here;
    if (alike * 2 > here || now < alike_until_) {
        return false;
    }
    for (std::size_t i = 0; i < working_here; ++i) {
        const endpoint_record& one = *working[i];
        const double successes = detector_->success_share(one.state->extras->history, judged(one), now);
        alike += outlier_detector::fails_alike(share, 0, successes) ? 1U : 0U;
        if (alike * 2 > here) {
            // Adding up counts of all threads is dear where failures are many.
            alike_until_ = after(now, options_.outlier->interval / 100);
            return false;
        }
    }
    return true;
}

void balancer_core::notice_outage_locked(time_point now) noexcept {
    if (ejected_ > 0 && !awaits_success_.load(std::memory_order_relaxed)) {
        // It began before everybody was seen to fail.
        outage_began_ = now - options_.outlier->interval;
        awaits_success_.store(true, std::memory_order_relaxed);
    }
}

// After a success.
void balancer_core::end_row(endpoint_state& state) {
    state.failures_in_row.store(0, std::memory_order_relaxed);
    if (awaits_success_.load(std::memory_order_relaxed) && !is_abandoned_.load(std::memory_order_relaxed)) {
        end_outage();
    }
}

void balancer_core::end_outage() {
    const time_point at = now();
    {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        const std::lock_guard lock(outlier_mutex_);
        if (!awaits_success_.load(std::memory_order_relaxed)) {
            return;
        }
        lift_locked(snapshot, at);
    }
    refresh();
}

void balancer_core::lift_locked(const balancer_snapshot& in, time_point now) noexcept {
    for (const listing& one : in.listings) {
        if (one.record && one.record->state->extras->history.ejected_at() >= outage_began_) {
            detector_->lift(one.record->state->extras->history, now);
        }
    }
    awaits_success_.store(false, std::memory_order_relaxed);
}

void balancer_core::eject_the_worst(time_point now) {
    duration::rep due = next_comparison_.load(std::memory_order_relaxed);
    const duration::rep at = now.time_since_epoch().count();
    const duration half = options_.outlier->interval / 2;
    if (at < due || !next_comparison_.compare_exchange_strong(
                        due, after(now, half).time_since_epoch().count(), std::memory_order_relaxed)) {
        return;
    }
    bool is_out = false;
    {
        const auto pinned = epoch::pin();
        const balancer_snapshot& snapshot = *current_.load(std::memory_order_acquire);
        std::vector<endpoint_record*> records;
        std::vector<double> shares;
        const std::lock_guard lock(outlier_mutex_);
        for (const listing& one : snapshot.listings) {
            if (one.why_not == ineligibility::none) {
                records.push_back(one.record.get());
                shares.push_back(
                    detector_->success_share(one.record->state->extras->history, judged(*one.record), now));
            }
        }
        for (const std::size_t i : detector_->below_the_others(shares)) {
            if (detector_->allows(members_, ejected_, eligible_)) {
                detector_->eject(records[i]->state->extras->history, now);
                ejected_ += 1;
                eligible_ -= 1;
                is_out = true;
            }
        }
    }
    if (is_out) {
        refresh();
    }
}

}  // namespace levee::detail
