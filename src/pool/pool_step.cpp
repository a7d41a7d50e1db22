#include "pool/pool_step.hpp"

#include <algorithm>
#include <new>

#include "levee/core/error.hpp"

namespace levee::pool_detail {

void pool_core::step::collect() {
    news_ = std::exchange(core_.news_, {});
    const std::exception_ptr job_error = std::exchange(core_.job_error_, nullptr);
    deeds_.reserve(core_.actions_.size());
    for (const pool_action& action : core_.actions_) {
        deed& each = deeds_.emplace_back();
        each.what = action;
        pool_slot& slot = core_.state_.slot(action.slot);
        each.event.connection = slot.serial;
        switch (action.kind) {
            case action_kind::grant:
                each.event.label = slot.label();
                [[fallthrough]];
            case action_kind::refuse:
                each.waiter = std::exchange(core_.waiters_[index_of(action.waiter)], nullptr);
                break;
            case action_kind::connect:
            case action_kind::check:
            case action_kind::reset:
                each.job = std::make_shared<pool_job>(
                    core_.time_->executor(), core_.weak_from_this(), core_.factory_, action,
                    connection_ptr(std::exchange(slot.connection, nullptr), core_.factory_->deleter()));
                core_.jobs_[action.slot] = each.job;
                break;
            case action_kind::stop_job:
                each.job = std::exchange(core_.jobs_[action.slot], nullptr);
                each.event.connection = action.serial;
                each.event.took = action.waited;
                each.event.error =
                    std::make_exception_ptr(error(action.cause == pool_removal::closed    ? errc::closed
                                                  : action.cause == pool_removal::invalid ? errc::timeout
                                                                                          : errc::cancelled,
                                                  action.phase == slot_phase::connecting ? "connecting"
                                                  : action.phase == slot_phase::checking ? "validating"
                                                                                         : "resetting"));
                if (action.phase == slot_phase::connecting && action.cause == pool_removal::invalid) {
                    each.former_error = std::exchange(core_.last_connect_error_, each.event.error);
                }
                break;
            case action_kind::remove:
                each.connection =
                    connection_ptr(std::exchange(slot.connection, nullptr), core_.factory_->deleter());
                each.event.error = action.cause == pool_removal::invalid ? job_error : nullptr;
                break;
            case action_kind::leak:
                each.event.label = slot.label();
                each.event.took = slot.held_for(now_);
                break;
        }
    }
    core_.actions_.clear();
    if (!core_.drain_waiters_.empty()) {
        collect_drained();
    }
    arm();
    if (core_.self_ != nullptr && core_.state_.leases() == 0) {
        last_lease_ = std::move(core_.self_);
    }
}

void pool_core::step::collect_drained() {
    const bool is_empty = core_.state_.is_empty();
    std::erase_if(core_.drain_waiters_, [&](const drain_waiter& each) {
        if (is_empty || each.deadline <= now_) {
            (is_empty ? drained_ : not_drained_).push_back(each.waiter);
            return true;
        }
        return false;
    });
}

// The timer goes when nothing needs it, since it keeps the executor busy; one that would fire too early is
// left alone: it arms itself again.
void pool_core::step::arm() {
    time_point wake = core_.state_.is_empty() ? (time_point::max)() : core_.state_.next_wake();
    for (const drain_waiter& each : core_.drain_waiters_) {
        wake = (std::min)(wake, each.deadline);
    }
    const bool is_needed = wake != (time_point::max)();
    if (is_needed ? wake >= core_.armed_for_ : core_.timer_ == nullptr) {
        return;
    }
    to_stop_ = std::exchange(core_.timer_, nullptr);
    core_.armed_for_ = wake;
    if (is_needed) {
        to_start_ = std::make_shared<pool_timer>(core_.time_->executor(), core_.weak_from_this(), wake);
        core_.timer_ = to_start_;
    }
}

void pool_core::step::carry_out() noexcept {
    pool_timer::cancel(std::move(to_stop_));
    if (news_.connection != 0) {
        core_.tell(news_);
    }
    for (deed& each : deeds_) {
        carry_out(each);
    }
    for (pool_waiter* waiter : drained_) {
        waiter->finish({.is_drained = true});
    }
    for (pool_waiter* waiter : not_drained_) {
        waiter->finish({});
    }
    if (to_start_ != nullptr) {
        try {
            pool_timer::launch(to_start_, core_.time_);
        } catch (const std::bad_alloc&) {
            const std::lock_guard lock(core_.mutex_);
            if (core_.timer_ == to_start_) {  // the next event tries again
                core_.timer_.reset();
                core_.armed_for_ = (time_point::max)();
            }
        }
    }
}

void pool_core::step::carry_out(deed& each) noexcept {
    const std::uint32_t slot = each.what.slot;
    pool_event& event = each.event;
    switch (each.what.kind) {
        case action_kind::grant:
            event.kind = pool_event_kind::acquired;
            event.took = each.what.waited;
            core_.tell(event);  // first, or it might be told of the release before
            each.waiter->finish({.slot = slot});
            break;
        case action_kind::refuse: {
            std::exception_ptr why;
            try {
                why = core_.make_error(each.what.failure);
            } catch (...) {
                why = std::current_exception();
            }
            each.waiter->finish({.error = std::move(why)});
            break;
        }
        case action_kind::connect:
        case action_kind::check:
        case action_kind::reset:
            pool_job::launch(each.job, core_.options_.blocking_executor);
            break;
        case action_kind::stop_job:
            pool_job::cancel(std::move(each.job));
            if (each.what.phase == slot_phase::connecting) {
                event.kind = pool_event_kind::connect_failed;
            } else {
                event.kind = pool_event_kind::removed;
                event.cause = each.what.cause;
            }
            core_.tell(event);
            break;
        case action_kind::remove: {
            event.kind = pool_event_kind::removed;
            event.cause = each.what.cause;
            core_.tell(event);
            each.connection.reset();
            const step next(core_, [&](time_point now) { core_.state_.removed(now, slot, core_.actions_); });
            break;
        }
        case action_kind::leak:
            event.kind = pool_event_kind::leaked;
            core_.tell(event);
            break;
    }
}

}  // namespace levee::pool_detail
