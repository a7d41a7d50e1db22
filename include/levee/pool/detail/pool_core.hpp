/// A pool without the connection's type: the state machine, the mutex around it, and what carries its
/// decisions out.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"
#include "levee/pool/detail/erased_factory.hpp"
#include "levee/pool/detail/pool_state.hpp"
#include "levee/pool/detail/pool_waiter.hpp"
#include "levee/pool/pool_error.hpp"
#include "levee/pool/pool_options.hpp"
#include "levee/pool/pool_stats.hpp"

namespace levee::pool_detail {

class pool_job;
class pool_timer;

/// Kept by the pool until that is destroyed, then by the leases that are still out, together.
///
/// Thread safety: safe on a shared object.
class pool_core : public std::enable_shared_from_this<pool_core> {
public:
    /// Errors: std::invalid_argument.
    pool_core(pool_options options, std::unique_ptr<erased_factory> factory);
    ~pool_core();
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    /// Once, right after construction.
    void begin();

    /// `none`, or a slot: leased if `is_fit`, else for `acquire` to deal with.
    struct found {
        std::uint32_t slot = idle_stack::none;
        bool is_fit = false;
    };

    [[nodiscard]] found acquire_idle(holder_label label) noexcept {
        const std::uint32_t slot = state_.try_take();
        if (slot == idle_stack::none) {
            return {};
        }
        pool_slot& at = state_.slot(slot);
        const time_point now = clock_->now();
        if (state_.judge(at, now) != fitness::fit) [[unlikely]] {
            return {slot, false};
        }
        at.lease(now, label);
        if (has_observer_) [[unlikely]] {
            tell_acquired(slot, duration::zero());
        }
        return {slot, true};
    }

    void release(std::uint32_t slot) noexcept {
        pool_slot& at = state_.slot(slot);
        if (!factory_->needs_reset(at.connection)) [[likely]] {
            const time_point now = clock_->now();
            if (has_observer_) [[unlikely]] {
                return return_slot(slot, returned_as::clean);
            }
            at.idle_since = now;
            if (state_.judge(at, now) != fitness::dead) [[likely]] {
                at.end_lease();
                if (state_.try_give(slot)) [[likely]] {
                    return;  // nothing of the pool may be touched from here on: it may be gone
                }
            }
            return return_slot(slot, returned_as::clean);
        }
        return_slot(slot, returned_as::to_reset);
    }
    void discard(std::uint32_t slot) noexcept { return_slot(slot, returned_as::discarded); }

    /// Through the mutex. `first`: what `acquire_idle` found.
    struct request {
        time_point deadline{};
        holder_label label{};
        found first{};
    };

    /// Blocks: until there is a slot, or the deadline. Errors: see `connection_pool::acquire`.
    [[nodiscard]] std::uint32_t acquire(const request& wanted);

    /// For `try_acquire`: a slot that is not fit goes where it belongs.
    void put_back_unfit(std::uint32_t slot);

    /// Queues `waiter`, or answers at once and does not touch it. The waiter does not wake itself.
    struct begun {
        bool is_queued = false;
        std::optional<std::uint32_t> slot{};
        std::exception_ptr error{};
    };
    [[nodiscard]] begun begin_acquire(const request& wanted, pool_waiter& waiter);
    void cancel(pool_waiter& waiter) noexcept;

    void invalidate_all();

    /// Nobody new is served; `refuse_waiters`: nor who waits already.
    void begin_drain(bool refuse_waiters);
    /// Blocks: until nothing is left, or the deadline. True: nothing is left.
    [[nodiscard]] bool wait_drained(time_point deadline);
    /// `waiter` is finished when nothing is left, or at the deadline.
    void wait_drained(time_point deadline, pool_waiter& waiter);
    void cancel_drain_wait(pool_waiter& waiter, std::exception_ptr error) noexcept;

    /// The pool goes: what is out keeps this alive from now on.
    void abandon() noexcept;

    [[nodiscard]] pool_stats stats() const;
    [[nodiscard]] const pool_options& options() const noexcept { return options_; }
    [[nodiscard]] time_point now() const noexcept { return time_->now(); }
    [[nodiscard]] void* connection(std::uint32_t slot) const noexcept { return state_.slot(slot).connection; }

    /// A job's end; `connection` is the one it made or examined. Null: none was made.
    void end_job(const pool_job& job, connection_ptr connection, std::exception_ptr error) noexcept;
    void timer_fired(const pool_timer& timer) noexcept;

private:
    struct deed;
    class step;
    [[nodiscard]] time_point in_real_time(time_point deadline) const noexcept;
    struct drain_waiter {
        pool_waiter* waiter = nullptr;
        time_point deadline{};
    };

    begun begin_acquire(const request& wanted, bool wakes_itself, pool_waiter& waiter);
    void return_slot(std::uint32_t slot, returned_as how) noexcept;
    [[nodiscard]] bool runs_on_this_thread() const noexcept;
    [[nodiscard]] std::exception_ptr make_error(pool_failure why) const;
    [[nodiscard]] std::vector<pool_holder> longest_holders() const;
    void tell(const pool_event& event) const noexcept;
    void tell_acquired(std::uint32_t slot, duration waited) const noexcept;

    const pool_options options_;
    const std::shared_ptr<async::scheduler> time_;
    std::unique_ptr<levee::clock> own_clock_;
    const levee::clock* const clock_;
    const std::shared_ptr<erased_factory> factory_;
    const bool has_observer_;

    pool_state state_;  // what its comment says may be used without the mutex; the rest is guarded by it

    mutable std::mutex mutex_;  // guards all below
    pool_actions actions_;
    pool_event news_{};             // of the step under way, to be told first; without a connection: none
    std::exception_ptr job_error_;  // of the step under way: why a connection that it removes is invalid
    std::vector<pool_waiter*> waiters_;  // by the index of their id
    std::vector<drain_waiter> drain_waiters_;
    std::vector<std::shared_ptr<pool_job>> jobs_;  // by slot; null: none is under way
    std::exception_ptr last_connect_error_;
    std::shared_ptr<pool_timer> timer_;
    time_point armed_for_ = (time_point::max)();
    std::shared_ptr<pool_core> self_;  // set once the pool has gone, while leases are out
};

}  // namespace levee::pool_detail
