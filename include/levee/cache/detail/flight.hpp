/// A load that several callers share: the decisions, without I/O and without the value's type.
///
///   state      join      leave (last one)     expire, close              finish
///   loading    joined    -> stopping          -> stopping                -> ended
///   stopping   refused   stays                stays                      -> ended
///   ended      refused   nothing              nothing                    (once only)
///
/// Stopping: nobody wants the result any more, so the loader is asked to stop and the next caller starts a
/// flight of his own. A waiter whose call owns the loader's captures is kept while the loader runs,
/// whatever made it leave: `[&]` in a loader is safe because of this.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "levee/core/clock.hpp"

namespace levee::cache_detail {

/// Why a waiter was let go.
///
/// reserve: the soft deadline passed, and the waiter has something to answer with.
enum class flight_outcome : std::uint8_t { result, reserve, timeout, cancelled, closed };

/// Somebody who waits for a flight. A node of the flight's list, so that waiting allocates nothing more.
class flight_waiter {
public:
    flight_waiter(const flight_waiter&) = delete;
    flight_waiter& operator=(const flight_waiter&) = delete;

    /// Called exactly once after a successful join, on any thread, off every lock. The waiter may destroy
    /// itself in it.
    virtual void finish(flight_outcome outcome) noexcept = 0;

    /// It could answer without the result. Before joining.
    void set_has_reserve() noexcept { has_reserve_ = true; }
    [[nodiscard]] bool has_reserve() const noexcept { return has_reserve_; }

protected:
    flight_waiter() = default;
    ~flight_waiter() = default;

private:
    friend class flight;
    flight_waiter* next_ = nullptr;
    flight_waiter* previous_ = nullptr;
    bool is_linked_ = false;
    bool owns_loader_ = false;
    bool has_reserve_ = false;
    flight_outcome left_as_ = flight_outcome::result;  // an owner's reason, kept until the loader ends
};

/// Thread safety: safe on a shared object.
class flight : public std::enable_shared_from_this<flight> {
public:
    enum class joined : std::uint8_t { yes, ended, stopping };
    enum class role : std::uint8_t {
        guest,         ///< Found the flight.
        leader,        ///< Made it; its interest counts from then on, so that guests who come and go
                       ///< before it has joined do not stop the flight.
        loader_owner,  ///< A leader whose call must not return before the loader has ended.
        co_owner,      ///< A guest of whose call the same holds: one of several that a loader serves.
    };

    /// `deadline`: when everybody's patience ends, on the scheduler's time line.
    /// `soft_deadline`: when those who could answer without the result do so.
    explicit flight(time_point deadline, time_point soft_deadline = (time_point::max)()) noexcept
        : deadline_(deadline), soft_deadline_(soft_deadline) {}
    virtual ~flight() = default;
    flight(const flight&) = delete;
    flight& operator=(const flight&) = delete;

    [[nodiscard]] joined join(flight_waiter& waiter, role as);

    /// The loader is about to run. False: it must not, nobody waits any more. Until then not even an owner
    /// is kept, so that work which its executor never runs holds up nobody.
    [[nodiscard]] bool begin() noexcept;

    /// Nothing happens if the waiter has been finished already.
    void leave(flight_waiter& waiter, flight_outcome why) noexcept;

    /// Lets go of those who have a reserve, but for owners of a loader that runs; the load goes on for the
    /// sake of the next caller even if nobody is left.
    void soften() noexcept;

    void expire() noexcept {
        has_expired_.store(true, std::memory_order_release);  // pairs with has_expired()
        abandon(flight_outcome::timeout);
    }
    void close() noexcept { abandon(flight_outcome::closed); }

    /// The loader has ended and its result can be read. An owner that timed out meanwhile gets a late
    /// success after all, since it had to wait for it.
    void finish(bool succeeded) noexcept;

    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
    /// It was the deadline that stopped it.
    [[nodiscard]] bool has_expired() const noexcept { return has_expired_.load(std::memory_order_acquire); }
    [[nodiscard]] time_point soft_deadline() const noexcept { return soft_deadline_; }
    [[nodiscard]] bool is_stopping() const noexcept { return is_stopping_.load(std::memory_order_acquire); }

    /// Notes that this flight's loader is about to wait for `awaited`. False, and nothing noted, if that
    /// would close a cycle of loads that wait for each other. Of two threads that close one cycle at the
    /// same time at least one is told: both note first and look afterwards.
    [[nodiscard]] bool begin_wait(flight& awaited);
    void end_wait(const flight& awaited) noexcept;

    /// The flight whose plain loader the calling thread is running: the innermost, null if none.
    [[nodiscard]] static flight* current() noexcept;

protected:
    /// Called once, off the lock, when the flight starts stopping.
    virtual void on_stopping() noexcept {}
    /// Called once, off the lock, after the waiters were let go.
    virtual void on_ended() noexcept {}

private:
    friend class loading_scope;

    void abandon(flight_outcome why) noexcept;
    void link_locked(flight_waiter& waiter) noexcept;
    void unlink_locked(flight_waiter& waiter) noexcept;
    [[nodiscard]] bool begin_stopping_locked() noexcept;
    static void release(flight_waiter* list) noexcept;
    [[nodiscard]] static bool reaches(const std::shared_ptr<flight>& from, const flight& to);

    const time_point deadline_;
    const time_point soft_deadline_;
    std::atomic<bool> has_expired_ = false;
    mutable std::mutex mutex_;  // guards all below, and the waiters' private members
    flight_waiter* waiters_ = nullptr;
    std::size_t interested_ = 1;  // waiters that have not left, a leader that has yet to join included
    bool has_begun_ = false;
    bool has_ended_ = false;
    std::atomic<bool> is_stopping_ = false;           // written under the mutex, read anywhere
    std::vector<std::shared_ptr<flight>> waits_for_;  // what this flight's loader waits for now
};

/// Marks the calling thread as running `f`'s plain loader.
class loading_scope {
public:
    explicit loading_scope(flight& f) noexcept;
    ~loading_scope();
    loading_scope(const loading_scope&) = delete;
    loading_scope& operator=(const loading_scope&) = delete;

private:
    flight* outer_;
};

/// The edge "a loader waits for a flight", for as long as it waits.
class wait_edge {
public:
    wait_edge() = default;

    /// `waiting` may be null: then the caller is no loader. Throws errc::recursive_load on a cycle.
    wait_edge(std::shared_ptr<flight> waiting, std::shared_ptr<flight> awaited);
    ~wait_edge();
    wait_edge(wait_edge&&) noexcept = default;
    wait_edge& operator=(wait_edge&&) = delete;

private:
    std::shared_ptr<flight> waiting_;
    std::shared_ptr<flight> awaited_;
};

/// A thread that waits for a flight.
class blocking_waiter final : public flight_waiter {
public:
    void finish(flight_outcome outcome) noexcept override;

    /// Blocks: until let go; with a reserve it leaves at the soft deadline, and as timed out at the deadline
    /// (and then, owning the loader, when that has ended).
    [[nodiscard]] flight_outcome wait(flight& awaited);

private:
    std::mutex mutex_;  // guards both below
    std::condition_variable finished_;
    bool is_finished_ = false;
    flight_outcome outcome_ = flight_outcome::result;
};

}  // namespace levee::cache_detail
