/// Every decision of a connection pool: events in, actions out. No I/O, no locks, no clock, no types.
///
/// Slots and waiters are numbers. Whoever drives this calls one event at a time (under the pool's mutex)
/// and then carries out the actions, in their order; the end of a job or a removal is an event again.
///
/// What it keeps to (G7):
///  - The queue is first in, first out; a slot that becomes free goes to its head before anything else, and
///    while somebody is queued the gate of the idle stack is closed, so nobody gets past.
///  - A slot is in one place: empty, in a job, being removed, on the stack, or leased.
///  - A waiter is granted or refused exactly once, unless it leaves; `leave` says who was first.
///  - Connections are begun only for somebody who waits and is not served by a job already under way, or
///    for `min_idle`; never more than `max_connecting` at a time, nor before the back-off is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/pool/detail/idle_stack.hpp"
#include "levee/pool/detail/pool_slot.hpp"
#include "levee/pool/detail/waiter_queue.hpp"
#include "levee/pool/pool_error.hpp"
#include "levee/pool/pool_event.hpp"
#include "levee/pool/pool_options.hpp"
#include "levee/pool/pool_stats.hpp"

namespace levee::pool_detail {

enum class action_kind : std::uint8_t {
    grant,     ///< `waiter` gets `slot`; it waited for `waited`.
    refuse,    ///< `waiter` gets `failure`.
    connect,   ///< Begin job `job` on `slot`; its end is `connected` or `connect_failed`.
    check,     ///< Begin job `job` on the connection in `slot`; its end is `job_ended`.
    reset,     ///< The same.
    stop_job,  ///< Job `job` of `slot` is out of time or not wanted; its end will not count.
    remove,    ///< Destroy the connection in `slot`; then `removed`.
    leak,      ///< Tell of the lease of `slot`.
};

struct pool_action {
    action_kind kind{};
    std::uint32_t slot = 0;
    std::uint64_t job = 0;
    waiter_id waiter = 0;
    duration waited{};  ///< Of stop_job: how long it ran.
    pool_failure failure{};
    pool_removal cause{};      ///< Of stop_job: `invalid` means that it ran out of time.
    slot_phase phase{};        ///< Of stop_job: what the job was.
    std::uint64_t serial = 0;  ///< Of stop_job: the connection's; the slot may have another one by now.
};
using pool_actions = std::vector<pool_action>;

/// What a holder, or the pool itself, thinks of a connection that it gives back.
enum class returned_as : std::uint8_t { clean, to_reset, discarded };

/// Whether an idle connection can be handed out.
enum class fitness : std::uint8_t { fit, stale, dead };

/// Thread safety: unsafe, but for `slot`, `try_take` and `try_give`, which are the way without the mutex.
class pool_state {
public:
    /// The options must be valid and outlive this.
    pool_state(const pool_options& options, std::uint64_t seed);

    // --- Without the mutex: an idle connection at hand, and nobody waiting.

    /// The slot idle for the shortest time, whatever it is worth (see `judge`); `idle_stack::none`: use
    /// `acquire`. It is leased by the caller, who marks it so.
    [[nodiscard]] std::uint32_t try_take() noexcept { return idle_.pop(); }

    /// False: use `release`. Before it, the caller ends the lease and sets `idle_since`.
    [[nodiscard]] bool try_give(std::uint32_t slot) noexcept { return idle_.push(slot); }

    [[nodiscard]] fitness judge(const pool_slot& slot, time_point now) const noexcept {
        if (slot.epoch != epoch_.load(std::memory_order_relaxed) || now >= slot.expires_at) {
            return fitness::dead;
        }
        // Zero on its own: a coarse clock may be behind the one that wrote idle_since.
        return now - slot.idle_since >= validate_after_ || validate_after_ == duration::zero()
                   ? fitness::stale
                   : fitness::fit;
    }

    [[nodiscard]] pool_slot& slot(std::uint32_t index) noexcept { return slots_[index]; }
    [[nodiscard]] const pool_slot& slot(std::uint32_t index) const noexcept { return slots_[index]; }
    [[nodiscard]] std::uint32_t slot_count() const noexcept { return slot_count_; }

    // --- Events.

    /// Somebody wants a connection by `deadline`. `wakes_itself`: it calls `leave` at its deadline; else
    /// `tick` refuses it. `waiter` of the answer: it was queued; else `slot` or a failure.
    struct answer {
        std::optional<waiter_id> waiter{};
        std::optional<std::uint32_t> slot{};
        pool_failure failure{};
    };
    [[nodiscard]] answer acquire(time_point now, time_point deadline, bool wakes_itself, holder_label label,
                                 pool_actions& out);

    /// A slot got by `try_take` that is not fit.
    void unfit(time_point now, std::uint32_t slot, pool_actions& out);

    /// A queued waiter goes. False: it has been granted or refused already.
    bool leave(time_point now, waiter_id waiter, bool timed_out, pool_actions& out);

    void release(time_point now, std::uint32_t slot, returned_as how, pool_actions& out);

    /// The ends of jobs. False: the job had been stopped, and what it brought is the driver's to destroy.
    [[nodiscard]] bool is_current(std::uint32_t slot, std::uint64_t job) const noexcept;
    bool connected(time_point now, std::uint32_t slot, std::uint64_t job, pool_actions& out);
    bool connect_failed(time_point now, std::uint32_t slot, std::uint64_t job, pool_actions& out);
    bool job_ended(time_point now, std::uint32_t slot, std::uint64_t job, bool is_good, pool_actions& out);
    void removed(time_point now, std::uint32_t slot, pool_actions& out);

    /// Time has passed: to be called at `next_wake()`, and harmless at any other time.
    void tick(time_point now, pool_actions& out);

    /// No connection begun before is handed out from now on.
    void invalidate_all(time_point now, pool_actions& out);

    /// Nobody new is served; who waits still is, unless `refuse_waiters`.
    void drain(time_point now, bool refuse_waiters, pool_actions& out);

    // --- What it is like.

    /// When `tick` has something to do; never later than that, time_point::max(): nothing.
    [[nodiscard]] time_point next_wake() const noexcept { return wake_; }
    [[nodiscard]] bool is_draining() const noexcept { return is_draining_; }
    /// Drained, and nothing is left: no slot in use, no job, no waiter.
    [[nodiscard]] bool is_empty() const noexcept { return is_draining_ && used_ == 0 && queue_.empty(); }
    /// Leases that are out; exact once `drain` was called, since the idle ones are gone then.
    [[nodiscard]] std::size_t leases() const noexcept;
    [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size(); }
    [[nodiscard]] std::uint64_t connect_failures_in_row() const noexcept { return backoff_.attempts(); }
    /// Why somebody who waits now waits.
    [[nodiscard]] pool_failure reason_to_wait() const noexcept;
    [[nodiscard]] pool_stats stats() const;

private:
    [[nodiscard]] std::uint32_t take_fit(time_point now, pool_actions& out);
    void enter_gate() noexcept { idle_.close_gate(); }
    void leave_gate() noexcept;
    void pump(time_point now, pool_actions& out);
    void serve_waiters(time_point now, pool_actions& out);
    void begin_connects(time_point now, pool_actions& out);
    void offer(time_point now, std::uint32_t slot, pool_actions& out);
    void grant_head(time_point now, std::uint32_t slot, pool_actions& out);
    void begin_job(time_point now, std::uint32_t slot, slot_phase phase, pool_actions& out);
    void end_job(std::uint32_t slot) noexcept;
    void stop_job(time_point now, std::uint32_t slot, pool_removal cause, pool_actions& out);
    void stop_jobs(time_point now, pool_removal cause, pool_actions& out);
    void note_connect_failure(time_point now) noexcept;
    void remove(std::uint32_t slot, pool_removal cause, pool_actions& out);
    void free_slot(std::uint32_t slot) noexcept;
    void count_wait(duration waited) noexcept;
    void refuse(waiter_id waiter, pool_failure why, pool_actions& out);
    void expire_waiters(time_point now, pool_actions& out);
    void expire_jobs(time_point now, pool_actions& out);
    void sweep(time_point now, pool_actions& out);
    void remove_idle(time_point now, pool_actions& out);
    void plan_wake(time_point now) noexcept;
    void wake_by(time_point when) noexcept { wake_ = when < wake_ ? when : wake_; }
    [[nodiscard]] pool_removal cause_of_death(const pool_slot& slot) const noexcept;
    [[nodiscard]] std::size_t wanted_connects() const noexcept;
    [[nodiscard]] std::size_t connect_limit() const noexcept;
    [[nodiscard]] std::size_t& jobs_of(slot_phase phase) noexcept;

    const pool_options& options_;
    const duration validate_after_;
    const std::uint32_t slot_count_;
    const duration sweep_interval_;
    const std::unique_ptr<pool_slot[]> slots_;
    idle_stack idle_;
    std::atomic<std::uint64_t> epoch_{1};  // relaxed: who must see a new one has synchronised with its caller

    waiter_queue queue_;
    std::vector<std::uint32_t> empty_;  // a stack: the lowest numbers are used first
    std::vector<std::uint32_t> swept_;
    std::size_t used_ = 0;  // slots that are not empty
    std::size_t connecting_ = 0, checking_ = 0, resetting_ = 0;
    std::size_t idle_wanted_ = 0;  // connections to be made for min_idle
    std::uint64_t last_job_ = 0;
    std::uint64_t last_serial_ = 0;
    backoff backoff_;
    splitmix64 random_;
    time_point retry_at_{};
    time_point next_sweep_{};
    time_point wake_ = (time_point::max)();
    bool is_draining_ = false;
    pool_stats counts_{};  // those that count; the rest is found out by `stats`
};

}  // namespace levee::pool_detail
