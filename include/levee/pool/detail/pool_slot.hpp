/// One place of a pool: the connection in it, and who owns which of its members when.
#pragma once

#include <atomic>
#include <cstdint>

#include "levee/core/clock.hpp"
#include "levee/core/detail/slot_blocks.hpp"
#include "levee/pool/holder_label.hpp"

namespace levee::pool_detail {

///   phase       what is there                       goes on to
///   empty       nothing                             connecting
///   connecting  a job that makes a connection       open, removing (came too late), empty
///   open        a connection: leased or idle        checking, resetting, removing
///   checking    a job that validates it             open, removing, empty (the job ran out of time)
///   resetting   a job that resets it                open, removing, empty
///   removing    a connection being destroyed        empty
enum class slot_phase : std::uint8_t { empty, connecting, open, checking, resetting, removing };

struct alignas(detail::line_size) pool_slot {
    // Owned by whoever holds the slot: the lease, or, when it is not leased, the pool's mutex. It passes
    // from one to the other through idle_stack or the mutex.
    void* connection = nullptr;
    time_point expires_at{};
    time_point idle_since{};
    std::uint64_t epoch = 0;   ///< The pool's when it was begun.
    std::uint64_t serial = 0;  ///< The connection's number, for events.

    // Written as above, read at any time by reports: a report may mix two holders' data by a moment.
    std::atomic<std::uint64_t> uses{0};
    std::atomic<time_point::rep> leased_since{0};  ///< 0: not leased.
    std::atomic<const char*> holder{nullptr};
    std::atomic<std::uint32_t> holder_line{0};

    std::atomic<std::uint32_t> next{0};  ///< Of idle_stack.

    // Under the pool's mutex.
    slot_phase phase = slot_phase::empty;
    std::uint64_t job = 0;  ///< The one under way.
    time_point job_began{};
    time_point job_deadline{};
    time_point::rep reported_lease = 0;  ///< `leased_since` of the last lease reported as leaked.

    /// The holder's: it has the slot from now on.
    void lease(time_point now, const holder_label& to) noexcept {
        // No read-modify-write: the holder is the only writer.
        uses.store(uses.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        holder.store(to.text(), std::memory_order_relaxed);
        holder_line.store(to.line(), std::memory_order_relaxed);
        leased_since.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    }
    void end_lease() noexcept { leased_since.store(0, std::memory_order_relaxed); }

    [[nodiscard]] holder_label label() const noexcept {
        return {holder.load(std::memory_order_relaxed), holder_line.load(std::memory_order_relaxed)};
    }

    /// Zero if it is not leased, and never negative: coarse and precise clocks differ by a tick.
    [[nodiscard]] duration held_for(time_point now) const noexcept {
        const time_point::rep since = leased_since.load(std::memory_order_relaxed);
        const duration held = now - time_point(duration(since));
        return since == 0 || held < duration::zero() ? duration::zero() : held;
    }
};

}  // namespace levee::pool_detail
