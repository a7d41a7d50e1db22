#include "levee/pool/detail/pool_core.hpp"

#include <random>
#include <stdexcept>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/core/error.hpp"
#include "pool/pool_job.hpp"
#include "pool/pool_step.hpp"

namespace levee::pool_detail {
namespace {

class scheduler_clock final : public levee::clock {
public:
    explicit scheduler_clock(std::shared_ptr<async::scheduler> time) noexcept : time_(std::move(time)) {}
    [[nodiscard]] time_point now() const noexcept override { return time_->now(); }

private:
    std::shared_ptr<async::scheduler> time_;
};

std::unique_ptr<levee::clock> clock_of_scheduler(const pool_options& options) {
    return options.clock == nullptr && options.scheduler != nullptr
               ? std::make_unique<scheduler_clock>(options.scheduler)
               : nullptr;
}

pool_options completed(pool_options options, const erased_factory& factory) {
    validate(options);
    if (factory.is_blocking() && !options.blocking_executor) {
        throw std::invalid_argument(
            "pool_options::blocking_executor is empty; a factory of plain functions needs it");
    }
    if (options.name.empty()) {
        options.name = "pool";
    }
    if (options.seed == 0) {
        options.seed = (std::uint64_t{std::random_device{}()} << 32U) | 1U;
    }
    return options;
}

}  // namespace

pool_core::pool_core(pool_options options, std::unique_ptr<erased_factory> factory)
    : options_(completed(std::move(options), *factory)),
      time_(options_.scheduler != nullptr ? options_.scheduler : async::steady_scheduler(options_.executor)),
      own_clock_(clock_of_scheduler(options_)),
      clock_(options_.clock != nullptr ? options_.clock
             : own_clock_ != nullptr   ? own_clock_.get()
                                       : &levee::clock::coarse()),
      factory_(std::move(factory)),
      has_observer_(static_cast<bool>(options_.observer)),
      state_(options_, options_.seed),
      waiters_(options_.max_waiters),
      jobs_(options_.max_size) {}

// Idle connections have gone with `abandon`, and leases keep this alive.
pool_core::~pool_core() = default;

void pool_core::begin() {
    step(*this, [this](time_point now) { state_.tick(now, actions_); });
}

bool pool_core::runs_on_this_thread() const noexcept {
    return async::runs_on_this_thread(time_->executor());
}

// --- Acquiring.

pool_core::begun pool_core::begin_acquire(const request& wanted, bool wakes_itself, pool_waiter& waiter) {
    begun result;
    pool_state::answer answer;
    const step taken(*this, [&](time_point now) {
        if (wanted.first.slot != idle_stack::none) {
            state_.unfit(now, wanted.first.slot, actions_);
        }
        answer = state_.acquire(now, wanted.deadline, wakes_itself, wanted.label, actions_);
        if (answer.waiter) {
            waiters_[index_of(*answer.waiter)] = &waiter;
            waiter.id_ = *answer.waiter;
            if (waiter.is_cancelled_) {
                state_.leave(now, waiter.id_, false, actions_);
            }
        }
    });
    result.is_queued = answer.waiter.has_value();
    result.slot = answer.slot;
    if (answer.slot) {
        if (has_observer_) {
            tell_acquired(*answer.slot, duration::zero());
        }
    } else if (!answer.waiter) {
        result.error = make_error(answer.failure);
    }
    return result;
}

pool_core::begun pool_core::begin_acquire(const request& wanted, pool_waiter& waiter) {
    return begin_acquire(wanted, false, waiter);
}

std::uint32_t pool_core::acquire(const request& wanted) {
    const auto keep = shared_from_this();  // the pool may be destroyed while this waits
    blocking_waiter waiter;
    const bool would_deadlock = runs_on_this_thread();
    request allowed = wanted;
    if (would_deadlock) {
        allowed.deadline = (time_point::min)();  // what is at hand may be taken, but nothing waited for
    }
    const begun first = begin_acquire(allowed, true, waiter);
    if (first.slot) {
        return *first.slot;
    }
    if (!first.is_queued) {
        if (would_deadlock && wanted.deadline > now()) {
            throw error(errc::would_deadlock, "acquire from pool \"" + options_.name +
                                                  "\" blocks, on a thread that the pool itself needs");
        }
        std::rethrow_exception(first.error);
    }
    if (!waiter.wait_until(in_real_time(wanted.deadline))) {
        // Of this and a hand-over one is first; if that was, it is about to let this waiter go.
        step(*this, [&](time_point now) { state_.leave(now, waiter.id_, true, actions_); });
    }
    const wait_outcome outcome = waiter.take();
    if (outcome.error) {
        std::rethrow_exception(outcome.error);
    }
    return *outcome.slot;
}

/// When a thread that waits gives up. Threads wait in real time, whatever the scheduler's time does.
time_point pool_core::in_real_time(time_point deadline) const noexcept {
    const time_point here = now();
    return after(clock::precise().now(), deadline > here ? deadline - here : duration::zero());
}

void pool_core::put_back_unfit(std::uint32_t slot) {
    step(*this, [&](time_point now) { state_.unfit(now, slot, actions_); });
}

void pool_core::cancel(pool_waiter& waiter) noexcept {
    const auto keep = shared_from_this();
    step(*this, [&](time_point now) {
        waiter.is_cancelled_ = true;
        if (waiter.id_ != 0) {
            state_.leave(now, waiter.id_, false, actions_);
        }
    });
}

// --- Releasing. The lease is out until the step, so this object is alive until then.

void pool_core::return_slot(std::uint32_t slot, returned_as how) noexcept {
    const auto keep = shared_from_this();
    if (has_observer_) {
        const pool_slot& at = state_.slot(slot);
        tell({.kind = pool_event_kind::released,
              .connection = at.serial,
              .label = at.label(),
              .took = at.held_for(clock_->now())});
    }
    step(*this, [&](time_point now) { state_.release(now, slot, how, actions_); });
}

void pool_core::invalidate_all() {
    step(*this, [&](time_point now) { state_.invalidate_all(now, actions_); });
}

// --- The end.

void pool_core::begin_drain(bool refuse_waiters) {
    step(*this, [&](time_point now) { state_.drain(now, refuse_waiters, actions_); });
}

void pool_core::wait_drained(time_point deadline, pool_waiter& waiter) {
    step(*this, [&](time_point /*now*/) {
        drain_waiters_.push_back({&waiter, waiter.is_cancelled_ ? (time_point::min)() : deadline});
    });
}

bool pool_core::wait_drained(time_point deadline) {
    const auto keep = shared_from_this();
    blocking_waiter waiter;
    const bool has_time = deadline > now();
    const bool would_deadlock = runs_on_this_thread();
    if (!has_time || would_deadlock) {
        bool is_empty = false;
        const step taken(*this, [&](time_point /*now*/) { is_empty = state_.is_empty(); });
        if (is_empty || !has_time) {
            return is_empty;
        }
        throw error(errc::would_deadlock,
                    "draining pool \"" + options_.name + "\" blocks, on a thread that the pool itself needs");
    }
    // Not for the timer: the deadline is kept here.
    wait_drained((time_point::max)(), waiter);
    if (!waiter.wait_until(in_real_time(deadline))) {
        cancel_drain_wait(waiter, nullptr);
    }
    return waiter.take().is_drained;
}

void pool_core::cancel_drain_wait(pool_waiter& waiter, std::exception_ptr error) noexcept {
    const auto keep = shared_from_this();
    bool was_waiting = false;
    const step taken(*this, [&](time_point /*now*/) {
        waiter.is_cancelled_ = true;
        was_waiting = std::erase_if(drain_waiters_,
                                    [&](const drain_waiter& each) { return each.waiter == &waiter; }) > 0;
    });
    if (was_waiting) {
        waiter.finish({.error = std::move(error)});
    }
}

void pool_core::abandon() noexcept {
    const auto keep = shared_from_this();
    step(*this, [&](time_point now) {
        state_.drain(now, true, actions_);
        if (state_.leases() > 0) {
            self_ = keep;
        }
        for (drain_waiter& each : drain_waiters_) {
            each.deadline = (time_point::min)();
        }
    });
}

// --- Jobs and the timer.

void pool_core::end_job(const pool_job& job, connection_ptr connection, std::exception_ptr error) noexcept {
    const auto keep = shared_from_this();
    const pool_action& what = job.what();
    std::exception_ptr former_error;  // the factory's own type: not destroyed under the mutex
    step(*this, [&](time_point now) {
        if (!state_.is_current(what.slot, what.job)) {
            return;  // it ran out of time; `connection` goes at the end of this function
        }
        pool_slot& at = state_.slot(what.slot);
        jobs_[what.slot].reset();
        if (what.kind == action_kind::connect) {
            news_ = {.kind = error ? pool_event_kind::connect_failed : pool_event_kind::connected,
                     .connection = at.serial,
                     .took = now - at.job_began,
                     .error = error};
        } else {
            job_error_ = error;
        }
        at.connection = connection.release();
        if (what.kind != action_kind::connect) {
            static_cast<void>(state_.job_ended(now, what.slot, what.job, error == nullptr, actions_));
            return;
        }
        former_error = std::exchange(last_connect_error_, error);
        if (error == nullptr) {
            static_cast<void>(state_.connected(now, what.slot, what.job, actions_));
        } else {
            static_cast<void>(state_.connect_failed(now, what.slot, what.job, actions_));
        }
    });
}

void pool_core::timer_fired(const pool_timer& timer) noexcept {
    step(*this, [&](time_point now) {
        if (timer_.get() == &timer) {
            timer_.reset();
            armed_for_ = (time_point::max)();
            state_.tick(now, actions_);
        }
    });
}

pool_stats pool_core::stats() const {
    const std::lock_guard lock(mutex_);
    return state_.stats();
}

}  // namespace levee::pool_detail
