/// A pool of connections, or of anything that is dear to make: one queue for threads and coroutines.
#pragma once

#include <boost/asio/async_result.hpp>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/pool/connection_factory.hpp"
#include "levee/pool/detail/async_acquire.hpp"
#include "levee/pool/detail/pool_core.hpp"
#include "levee/pool/factory_from.hpp"
#include "levee/pool/holder_label.hpp"
#include "levee/pool/pool_error.hpp"
#include "levee/pool/pool_options.hpp"
#include "levee/pool/pool_stats.hpp"
#include "levee/pool/pooled.hpp"

namespace levee {

/// Lends connections, at most `max_size`, to whoever asks first.
///
///     levee::runtime rt;
///     connection_pool<client> pool(factory_from(connect, ping),
///                                  {.executor = rt.get_executor(), .blocking_executor =
///                                  rt.blocking_executor()});
///     auto db = pool.acquire();                                            // a thread
///     auto db = co_await pool.async_acquire(boost::asio::use_awaitable);   // a coroutine
///     db->query("…");                                                      // it goes back by itself
///
/// Callers wait in one queue, first in, first out, blocking and asynchronous ones alike; a connection that
/// comes back is handed to the first of them. Idle connections are taken last in, first out, so that those
/// not needed stay idle and are closed. Connections are made on the executor, never by a caller: who waits
/// gets whichever is ready first.
///
/// Deadlines are hard: connecting and validating count. Blocking callers keep them by real time, whatever
/// the scheduler says.
///
/// A thread or coroutine that holds a connection and asks for another one may wait for itself if the pool is
/// used up; nothing can tell that from waiting for others. It ends by the deadline, and the error names the
/// holders.
///
/// Destruction refuses those who wait (errc::closed) and closes what is idle; leases may outlive the pool.
/// The executor must outlive the pool.
///
/// Thread safety: safe on a shared object, apart from destruction: only leases and calls that wait may be
/// under way then.
/// Cost: an acquire and release of an idle connection is two compare-and-swaps and two reads
/// of the coarse clock, no lock.
template <class C>
class connection_pool {
    template <class Token>
    static constexpr bool is_token =
        !std::is_convertible_v<Token, duration> && !std::is_convertible_v<Token, time_point> &&
        !std::is_convertible_v<Token, holder_label>;

public:
    using connection_type = C;

    /// Begins to make `min_idle` connections, and nothing else. Errors: std::invalid_argument, for options
    /// out of range, or a null factory.
    connection_pool(std::shared_ptr<connection_factory<C>> factory, const pool_options& options)
        : core_(std::make_shared<pool_detail::pool_core>(options, erased(std::move(factory)))) {
        core_->begin();
    }

    ~connection_pool() { core_->abandon(); }

    connection_pool(const connection_pool&) = delete;
    connection_pool& operator=(const connection_pool&) = delete;

    /// Takes an idle connection, or waits for one: until `acquire_timeout`, or as long as said. A deadline is
    /// on the scheduler's time line. `label`: see `holder_label`; the place of the call if left out.
    ///
    /// Blocks: for as long as it is until then, in real time (also where the scheduler's stands still),
    /// holding no lock; not if one is at hand. Errors: pool_error, see there; errc::would_deadlock if it
    /// would have to wait on a thread that runs the pool's executor.
    pooled<C> acquire(holder_label label = std::source_location::current()) {
        return acquire(core_->options().acquire_timeout, label);
    }
    pooled<C> acquire(duration timeout, holder_label label = std::source_location::current()) {
        // A reference: while this waits the pool may be destroyed, though not what is behind it.
        pool_detail::pool_core& core = *core_;
        const auto first = core.acquire_idle(label);
        return pooled<C>(
            core, first.is_fit ? first.slot : core.acquire({after(core.now(), timeout), label, first}));
    }
    pooled<C> acquire(time_point deadline, holder_label label = std::source_location::current()) {
        pool_detail::pool_core& core = *core_;
        const auto first = core.acquire_idle(label);
        return pooled<C>(core, first.is_fit ? first.slot : core.acquire({deadline, label, first}));
    }

    /// Takes an idle connection that needs no validation and that nobody waits for; else answers an empty
    /// one. Never waits; so it may also be empty at a moment at which another thread, or the pool's upkeep,
    /// looks after the idle ones.
    pooled<C> try_acquire(holder_label label = std::source_location::current()) {
        const auto first = core_->acquire_idle(label);
        if (first.is_fit) [[likely]] {
            return pooled<C>(*core_, first.slot);
        }
        if (first.slot != pool_detail::idle_stack::none) {
            core_->put_back_unfit(first.slot);
        }
        return {};
    }

    /// As `acquire`, for any completion token: void(std::exception_ptr, pooled<C>). It completes on the
    /// handler's executor, never inside this call. Cancellation (any type) ends it with errc::cancelled; one
    /// that comes too late is not heeded, and a connection that nobody takes goes back by itself.
    template <class Token>
        requires is_token<Token>
    auto async_acquire(Token&& token, holder_label label = std::source_location::current()) {
        return initiate<Token>(token, after(core_->now(), core_->options().acquire_timeout), label);
    }
    template <class Token>
        requires is_token<Token>
    auto async_acquire(duration timeout, Token&& token,
                       holder_label label = std::source_location::current()) {
        return initiate<Token>(token, after(core_->now(), timeout), label);
    }
    template <class Token>
        requires is_token<Token>
    auto async_acquire(time_point deadline, Token&& token,
                       holder_label label = std::source_location::current()) {
        return initiate<Token>(token, deadline, label);
    }

    /// After a failover: no connection begun before this call is handed out by any later one. Those in use
    /// are closed when they come back; those being made, validated or reset are stopped, so that nobody
    /// waits for a server that is gone; the back-off begins anew.
    void invalidate_all() { core_->invalidate_all(); }

    /// Serves nobody new (errc::closed), lets those who wait have their turn, and closes what comes back.
    /// There is no way back. Answers true once nothing is left, false at the deadline.
    ///
    /// Blocks: until then. Errors: errc::would_deadlock as for `acquire`.
    bool drain(duration timeout) { return drain(after(core_->now(), timeout)); }
    bool drain(time_point deadline) { return end(false, deadline); }

    /// As `drain`, but refuses those who wait, with errc::closed. Leases that are out after the deadline
    /// stay usable, and are closed when they come back.
    bool close(duration timeout = {}) { return close(after(core_->now(), timeout)); }
    bool close(time_point deadline) { return end(true, deadline); }

    /// The same for completion tokens: void(std::exception_ptr, bool).
    template <class Token>
    auto async_drain(duration timeout, Token&& token) {
        return initiate_end<Token>(false, after(core_->now(), timeout), token);
    }
    template <class Token>
    auto async_close(duration timeout, Token&& token) {
        return initiate_end<Token>(true, after(core_->now(), timeout), token);
    }

    /// Cost: some µs under the pool's mutex.
    [[nodiscard]] pool_stats stats() const { return core_->stats(); }

    [[nodiscard]] const pool_options& options() const noexcept { return core_->options(); }

private:
    static std::unique_ptr<pool_detail::erased_factory> erased(
        std::shared_ptr<connection_factory<C>> factory) {
        if (factory == nullptr) {
            throw std::invalid_argument("connection_pool: the factory is null");
        }
        return std::make_unique<pool_detail::typed_factory<C>>(std::move(factory));
    }

    template <class Token>
    auto initiate(std::remove_reference_t<Token>& token, time_point deadline, holder_label label) {
        return boost::asio::async_initiate<Token, void(std::exception_ptr, pooled<C>)>(
            pool_detail::async_acquire_operation<C>{core_}, token, deadline, label);
    }

    bool end(bool refuse_waiters, time_point deadline) {
        core_->begin_drain(refuse_waiters);
        return core_->wait_drained(deadline);
    }

    template <class Token>
    auto initiate_end(bool refuse_waiters, time_point deadline, std::remove_reference_t<Token>& token) {
        core_->begin_drain(refuse_waiters);
        return boost::asio::async_initiate<Token, void(std::exception_ptr, bool)>(
            pool_detail::async_drain_operation{core_}, token, deadline);
    }

    const std::shared_ptr<pool_detail::pool_core> core_;
};

}  // namespace levee
