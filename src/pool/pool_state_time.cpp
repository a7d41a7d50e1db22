// What the state machine does because time has passed, and what it says about itself.
#include <algorithm>

#include "levee/pool/detail/pool_state.hpp"

namespace levee::pool_detail {

void pool_state::tick(time_point now, pool_actions& out) {
    expire_waiters(now, out);
    expire_jobs(now, out);
    if (next_sweep_ <= now && !is_draining_) {
        sweep(now, out);
        next_sweep_ = after(now, sweep_interval_);
    }
    pump(now, out);
    plan_wake(now);
}

void pool_state::expire_waiters(time_point now, pool_actions& out) {
    const pool_failure why = reason_to_wait();
    queue_.for_each([&](waiter_id id, const queued_waiter& waiter) {
        if (waiter.deadline <= now && !waiter.wakes_itself) {
            refuse(id, why, out);
        }
    });
}

void pool_state::expire_jobs(time_point now, pool_actions& out) {
    if (connecting_ + checking_ + resetting_ == 0) {
        return;
    }
    for (std::uint32_t slot = 0; slot < slot_count_; ++slot) {
        if (slots_[slot].job != 0 && slots_[slot].job_deadline <= now) {
            if (slots_[slot].phase == slot_phase::connecting) {
                note_connect_failure(now);
            } else {
                ++counts_.invalid;
            }
            stop_job(now, slot, pool_removal::invalid, out);
        }
    }
}

// Idle connections that are too old, or idle for too long and more than min_idle; the stack's order stays.
void pool_state::sweep(time_point now, pool_actions& out) {
    enter_gate();
    swept_.clear();
    for (std::uint32_t slot = idle_.take_top(); slot != idle_stack::none; slot = idle_.take_top()) {
        swept_.push_back(slot);
    }
    std::size_t idle = swept_.size();
    for (auto at = swept_.rbegin(); at != swept_.rend(); ++at) {  // the longest idle first
        const pool_slot& slot = slots_[*at];
        const bool is_dead = judge(slot, now) == fitness::dead;
        const bool is_idle_too_long = options_.idle_timeout > duration::zero() &&
                                      now - slot.idle_since >= options_.idle_timeout &&
                                      idle > options_.min_idle;
        if (is_dead || is_idle_too_long) {
            remove(*at, is_dead ? cause_of_death(slot) : pool_removal::idle, out);
            --idle;
        } else {
            idle_.put_top(*at);
        }
    }
    idle_wanted_ = options_.min_idle > idle ? options_.min_idle - idle : 0;
    for (std::uint32_t i = 0; options_.leak_threshold > duration::zero() && i < slot_count_; ++i) {
        pool_slot& slot = slots_[i];
        const time_point::rep since = slot.leased_since.load(std::memory_order_relaxed);
        if (slot.phase == slot_phase::open && since != 0 && since != slot.reported_lease &&
            slot.held_for(now) >= options_.leak_threshold) {
            slot.reported_lease = since;
            ++counts_.leaks;
            pool_action& action = out.emplace_back();
            action.kind = action_kind::leak;
            action.slot = i;
        }
    }
}

void pool_state::plan_wake(time_point now) noexcept {
    wake_ = (time_point::max)();
    queue_.for_each([&](waiter_id, const queued_waiter& waiter) {
        if (!waiter.wakes_itself) {
            wake_by(waiter.deadline);
        }
    });
    if (connecting_ + checking_ + resetting_ > 0) {
        for (std::uint32_t slot = 0; slot < slot_count_; ++slot) {
            if (slots_[slot].job != 0) {
                wake_by(slots_[slot].job_deadline);
            }
        }
    }
    if (connecting_ < wanted_connects() && backoff_.attempts() > 0 && now < retry_at_) {
        wake_by(retry_at_);
    }
    if ((used_ > 0 || options_.min_idle > 0) && !is_draining_) {
        wake_by(next_sweep_);
    }
}

// --- Answers.

std::size_t pool_state::leases() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(slots_.get(), slots_.get() + slot_count_,
                      [](const pool_slot& slot) { return slot.phase == slot_phase::open; }));
}

pool_failure pool_state::reason_to_wait() const noexcept {
    if (used_ == slot_count_ && connecting_ + checking_ + resetting_ == 0) {
        return pool_failure::exhausted;
    }
    return backoff_.attempts() > 0 ? pool_failure::database_down : pool_failure::connecting;
}

pool_stats pool_state::stats() const {
    pool_stats result = counts_;
    for (std::uint32_t i = 0; i < slot_count_; ++i) {
        const pool_slot& slot = slots_[i];
        result.acquired += slot.uses.load(std::memory_order_relaxed);
        if (slot.phase == slot_phase::open) {
            ++(slot.leased_since.load(std::memory_order_relaxed) != 0 ? result.in_use : result.idle);
        }
    }
    result.connecting = connecting_;
    result.checking = checking_ + resetting_;
    result.waiting = queue_.size();
    if (result.acquired > result.waits.count()) {  // those who found one at hand
        result.waits.record(0, result.acquired - result.waits.count());
    }
    return result;
}

}  // namespace levee::pool_detail
