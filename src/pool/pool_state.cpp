#include "levee/pool/detail/pool_state.hpp"

#include <algorithm>
#include <new>

namespace levee::pool_detail {
namespace {

duration sweep_interval(const pool_options& options) {
    duration interval = std::chrono::seconds(1);
    for (const duration limit : {options.idle_timeout, options.max_lifetime, options.leak_threshold}) {
        if (limit > duration::zero()) {
            interval = (std::min)(interval, limit / 4);
        }
    }
    return (std::max)(interval, duration(std::chrono::milliseconds(1)));
}

}  // namespace

pool_state::pool_state(const pool_options& options, std::uint64_t seed)
    : options_(options),
      validate_after_(options.validate_after_idle),
      slot_count_(static_cast<std::uint32_t>(options.max_size)),
      sweep_interval_(sweep_interval(options)),
      slots_(std::make_unique<pool_slot[]>(options.max_size)),
      idle_(slots_.get()),
      queue_(options.max_waiters),
      backoff_(options.backoff, seed),
      random_(seed + 1) {
    swept_.reserve(slot_count_);
    empty_.reserve(slot_count_);
    for (std::uint32_t i = slot_count_; i > 0; --i) {
        empty_.push_back(i - 1);
    }
    if (options.min_idle > 0) {
        wake_ = (time_point::min)();  // the first tick makes them
    }
}

// --- Acquiring.

pool_state::answer pool_state::acquire(time_point now, time_point deadline, bool wakes_itself,
                                       holder_label label, pool_actions& out) {
    answer result;
    if (is_draining_) {
        result.failure = pool_failure::closed;
        return result;
    }
    enter_gate();
    if (queue_.empty()) {
        if (const std::uint32_t slot = take_fit(now, out); slot != idle_stack::none) {
            slots_[slot].lease(now, label);
            count_wait(duration::zero());
            result.slot = slot;
            pump(now, out);  // take_fit may have removed others
            return result;
        }
    }
    if (deadline <= now) {
        ++counts_.timeouts;
        result.failure = reason_to_wait();
    } else if (queue_.full()) {
        ++counts_.refused;
        result.failure = pool_failure::queue_full;
    } else {
        result.waiter = queue_.push({now, deadline, label, wakes_itself});
        if (!wakes_itself) {
            wake_by(deadline);
        }
    }
    pump(now, out);
    return result;
}

void pool_state::unfit(time_point now, std::uint32_t slot, pool_actions& out) {
    slots_[slot].end_lease();
    if (is_draining_) {
        remove(slot, pool_removal::closed, out);
    } else if (judge(slots_[slot], now) == fitness::dead) {
        remove(slot, cause_of_death(slots_[slot]), out);
    } else {
        begin_job(now, slot, slot_phase::checking, out);
    }
    pump(now, out);
}

bool pool_state::leave(time_point now, waiter_id waiter, bool timed_out, pool_actions& out) {
    if (queue_.find(waiter) == nullptr) {
        return false;
    }
    refuse(waiter, timed_out ? reason_to_wait() : pool_failure::cancelled, out);
    pump(now, out);
    return true;
}

// What is dead on the way is removed. The top is idle for the shortest time: if that is stale, all are.
std::uint32_t pool_state::take_fit(time_point now, pool_actions& out) {
    for (std::uint32_t top = idle_.top(); top != idle_stack::none; top = idle_.top()) {
        const fitness found = judge(slots_[top], now);
        if (found == fitness::stale) {
            return idle_stack::none;
        }
        static_cast<void>(idle_.take_top());
        if (found == fitness::fit) {
            return top;
        }
        remove(top, cause_of_death(slots_[top]), out);
    }
    return idle_stack::none;
}

// --- Releasing.

void pool_state::release(time_point now, std::uint32_t slot, returned_as how, pool_actions& out) {
    slots_[slot].end_lease();
    // Idle from now on: it was in use a moment ago, and so is not stale.
    slots_[slot].idle_since = now;
    if (how == returned_as::discarded) {
        remove(slot, pool_removal::discarded, out);
    } else if (is_draining_ && queue_.empty()) {
        remove(slot, pool_removal::closed, out);
    } else if (judge(slots_[slot], now) == fitness::dead) {
        remove(slot, cause_of_death(slots_[slot]), out);
    } else if (how == returned_as::to_reset) {
        begin_job(now, slot, slot_phase::resetting, out);
    } else {
        offer(now, slot, out);
    }
    pump(now, out);
}

// A sound connection, just used or just examined.
void pool_state::offer(time_point now, std::uint32_t slot, pool_actions& out) {
    slots_[slot].phase = slot_phase::open;
    slots_[slot].idle_since = now;
    if (!queue_.empty()) {
        grant_head(now, slot, out);
    } else if (is_draining_) {
        remove(slot, pool_removal::closed, out);
    } else {
        idle_.put_top(slot);
    }
}

void pool_state::grant_head(time_point now, std::uint32_t slot, pool_actions& out) {
    const waiter_id id = queue_.front();
    const queued_waiter waiter = *queue_.find(id);
    queue_.erase(id);
    slots_[slot].lease(now, waiter.label);
    pool_action& action = out.emplace_back();
    action.kind = action_kind::grant;
    action.slot = slot;
    action.waiter = id;
    action.waited = (std::max)(now - waiter.since, duration::zero());
    count_wait(action.waited);
}

void pool_state::count_wait(duration waited) noexcept {
    try {
        counts_.waits.record(static_cast<std::uint64_t>(waited.count()));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): a figure less, not a connection
    }
}

void pool_state::refuse(waiter_id waiter, pool_failure why, pool_actions& out) {
    queue_.erase(waiter);
    switch (why) {
        case pool_failure::exhausted:
        case pool_failure::connecting:
        case pool_failure::database_down:
            ++counts_.timeouts;
            break;
        case pool_failure::cancelled:
            ++counts_.cancelled;
            break;
        case pool_failure::queue_full:
        case pool_failure::closed:
            break;
    }
    pool_action& action = out.emplace_back();
    action.kind = action_kind::refuse;
    action.waiter = waiter;
    action.failure = why;
}

// --- What follows from any event.

void pool_state::pump(time_point now, pool_actions& out) {
    serve_waiters(now, out);
    if (is_draining_ && queue_.empty()) {
        stop_jobs(now, pool_removal::closed, out);
        remove_idle(now, out);
    } else {
        begin_connects(now, out);
    }
    if (used_ > 0 && !is_draining_) {
        if (next_sweep_ <= now) {
            next_sweep_ = after(now, sweep_interval_);
        }
        wake_by(next_sweep_);
    }
    leave_gate();
}

void pool_state::leave_gate() noexcept {
    if (queue_.empty() && !is_draining_ && idle_.is_gate_closed()) {
        idle_.open_gate();
    }
}

void pool_state::serve_waiters(time_point now, pool_actions& out) {
    if (queue_.empty()) {
        return;
    }
    enter_gate();
    while (!queue_.empty()) {
        if (const std::uint32_t slot = take_fit(now, out); slot != idle_stack::none) {
            grant_head(now, slot, out);
        } else if (checking_ + resetting_ < queue_.size() && idle_.top() != idle_stack::none) {
            begin_job(now, idle_.take_top(), slot_phase::checking, out);
        } else {
            return;
        }
    }
}

std::size_t pool_state::wanted_connects() const noexcept {
    const std::size_t served = checking_ + resetting_;
    return (queue_.size() > served ? queue_.size() - served : 0) + (is_draining_ ? 0 : idle_wanted_);
}

std::size_t pool_state::connect_limit() const noexcept {
    const bool is_down = options_.error_gate > 0 && backoff_.attempts() >= options_.error_gate;
    return is_down ? 1 : options_.max_connecting;
}

void pool_state::begin_connects(time_point now, pool_actions& out) {
    while (connecting_ < connect_limit() && connecting_ < wanted_connects() && !empty_.empty()) {
        if (backoff_.attempts() > 0 && now < retry_at_) {
            wake_by(retry_at_);
            return;
        }
        const std::uint32_t slot = empty_.back();
        empty_.pop_back();
        ++used_;
        slots_[slot].epoch = epoch_.load(std::memory_order_relaxed);
        slots_[slot].serial = ++last_serial_;
        begin_job(now, slot, slot_phase::connecting, out);
    }
}

// --- Removing.

pool_removal pool_state::cause_of_death(const pool_slot& slot) const noexcept {
    return slot.epoch != epoch_.load(std::memory_order_relaxed) ? pool_removal::invalidated
                                                                : pool_removal::expired;
}

void pool_state::remove(std::uint32_t slot, pool_removal cause, pool_actions& out) {
    slots_[slot].phase = slot_phase::removing;
    counts_.discarded += cause == pool_removal::discarded ? 1 : 0;
    counts_.expired += cause == pool_removal::expired ? 1 : 0;
    counts_.idled_out += cause == pool_removal::idle ? 1 : 0;
    pool_action& action = out.emplace_back();
    action.kind = action_kind::remove;
    action.slot = slot;
    action.cause = cause;
}

void pool_state::free_slot(std::uint32_t slot) noexcept {
    slots_[slot].phase = slot_phase::empty;
    slots_[slot].job = 0;
    empty_.push_back(slot);
    --used_;
}

void pool_state::removed(time_point now, std::uint32_t slot, pool_actions& out) {
    free_slot(slot);
    pump(now, out);
}

void pool_state::remove_idle(time_point now, pool_actions& out) {
    for (std::uint32_t slot = idle_.take_top(); slot != idle_stack::none; slot = idle_.take_top()) {
        remove(slot,
               is_draining_                                ? pool_removal::closed
               : judge(slots_[slot], now) == fitness::dead ? cause_of_death(slots_[slot])
                                                           : pool_removal::idle,
               out);
    }
}

void pool_state::invalidate_all(time_point now, pool_actions& out) {
    enter_gate();
    epoch_.fetch_add(1, std::memory_order_relaxed);
    // What failed before says nothing about the new server; and what a dead one is asked for may take all
    // the time it is given, while it keeps others from connecting.
    backoff_.reset();
    stop_jobs(now, pool_removal::invalidated, out);
    remove_idle(now, out);
    pump(now, out);
}

void pool_state::drain(time_point now, bool refuse_waiters, pool_actions& out) {
    enter_gate();
    is_draining_ = true;
    if (refuse_waiters) {
        queue_.for_each([&](waiter_id id, const queued_waiter&) { refuse(id, pool_failure::closed, out); });
    }
    pump(now, out);
    plan_wake(now);
}

}  // namespace levee::pool_detail
