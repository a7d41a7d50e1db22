// How the state machine begins jobs (connecting, validating, resetting), and what their ends mean.
#include <algorithm>

#include "levee/pool/detail/pool_state.hpp"

namespace levee::pool_detail {

std::size_t& pool_state::jobs_of(slot_phase phase) noexcept {
    return phase == slot_phase::connecting ? connecting_
           : phase == slot_phase::checking ? checking_
                                           : resetting_;
}

void pool_state::begin_job(time_point now, std::uint32_t slot, slot_phase phase, pool_actions& out) {
    pool_slot& at = slots_[slot];
    at.phase = phase;
    at.job = ++last_job_;
    at.job_began = now;
    at.job_deadline = after(now, phase == slot_phase::connecting ? options_.connect_timeout
                                 : phase == slot_phase::checking ? options_.validation_timeout
                                                                 : options_.reset_timeout);
    wake_by(at.job_deadline);
    ++jobs_of(phase);
    pool_action& action = out.emplace_back();
    action.kind = phase == slot_phase::connecting ? action_kind::connect
                  : phase == slot_phase::checking ? action_kind::check
                                                  : action_kind::reset;
    action.slot = slot;
    action.job = at.job;
}

bool pool_state::is_current(std::uint32_t slot, std::uint64_t job) const noexcept {
    return slots_[slot].job == job;
}

void pool_state::end_job(std::uint32_t slot) noexcept {
    --jobs_of(slots_[slot].phase);
    slots_[slot].job = 0;
}

// The job keeps its connection and destroys it, whenever it notices; the slot is free at once, or jobs that
// hang would use up the pool.
void pool_state::stop_job(time_point now, std::uint32_t slot, pool_removal cause, pool_actions& out) {
    pool_action& action = out.emplace_back();
    action.kind = action_kind::stop_job;
    action.slot = slot;
    action.job = slots_[slot].job;
    action.waited = now - slots_[slot].job_began;
    action.cause = cause;
    action.serial = slots_[slot].serial;
    action.phase = slots_[slot].phase;
    end_job(slot);
    free_slot(slot);
}

void pool_state::stop_jobs(time_point now, pool_removal cause, pool_actions& out) {
    for (std::uint32_t slot = 0; slot < slot_count_; ++slot) {
        if (slots_[slot].job != 0) {
            stop_job(now, slot, cause, out);
        }
    }
}

void pool_state::note_connect_failure(time_point now) noexcept {
    ++counts_.connect_failures;
    retry_at_ = after(now, backoff_.next());
}

bool pool_state::connected(time_point now, std::uint32_t slot, std::uint64_t job, pool_actions& out) {
    if (!is_current(slot, job)) {
        return false;
    }
    end_job(slot);
    pool_slot& at = slots_[slot];
    at.phase = slot_phase::open;
    ++counts_.created;
    backoff_.reset();
    const double spread = 1.0 + options_.lifetime_jitter * (2.0 * uniform_unit(random_) - 1.0);
    const double life = static_cast<double>(options_.max_lifetime.count()) * spread;
    constexpr double longest = 9e18;  // below what a duration holds
    at.expires_at = options_.max_lifetime == duration::zero() || life >= longest
                        ? (time_point::max)()
                        : after(now, (std::max)(duration(1), duration(static_cast<duration::rep>(life))));
    if (queue_.empty() && idle_wanted_ > 0) {
        --idle_wanted_;
    }
    if (at.epoch != epoch_.load(std::memory_order_relaxed)) {
        remove(slot, pool_removal::invalidated, out);
    } else {
        offer(now, slot, out);
    }
    pump(now, out);
    return true;
}

bool pool_state::connect_failed(time_point now, std::uint32_t slot, std::uint64_t job, pool_actions& out) {
    if (!is_current(slot, job)) {
        return false;
    }
    end_job(slot);
    free_slot(slot);
    note_connect_failure(now);
    pump(now, out);
    return true;
}

bool pool_state::job_ended(time_point now, std::uint32_t slot, std::uint64_t job, bool is_good,
                           pool_actions& out) {
    if (!is_current(slot, job)) {
        return false;
    }
    end_job(slot);
    if (!is_good) {
        ++counts_.invalid;
        remove(slot, pool_removal::invalid, out);
    } else if (judge(slots_[slot], now) == fitness::dead) {
        remove(slot, cause_of_death(slots_[slot]), out);
    } else {
        offer(now, slot, out);
    }
    pump(now, out);
    return true;
}

}  // namespace levee::pool_detail
