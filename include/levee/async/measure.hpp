/// Measuring coroutines, and keeping a monitor's windows going.
#pragma once

#include "levee/async/scheduler.hpp"
#include "levee/monitor/percentile_monitor.hpp"
#include "levee/monitor/scoped_timer.hpp"

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <type_traits>
#include <utility>

namespace levee {

/// Awaits `work` and counts how long it took, from the moment that this is awaited: as a failure if it
/// throws. Gives what `work` gives, or lets its exception pass. Destroyed while it waits, as when its
/// context goes, it counts nothing: nobody knows how long it would have taken.
///
///     auto user = co_await async_measure(get_user, db.async_find(id));
///
/// The monitor must outlive it. Cost: one coroutine frame, and that of `percentile_monitor::handle::measure`.
template <class T, class Executor>
[[nodiscard]] boost::asio::awaitable<T, Executor> async_measure(percentile_monitor::handle operation,
                                                                boost::asio::awaitable<T, Executor> work) {
    struct call {
        explicit call(percentile_monitor::handle& counted) : timer(counted) {}
        ~call() {
            if (!ended) {
                timer.discard();
            }
        }
        scoped_timer timer;
        bool ended = false;
    };
    call running(operation);
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            running.ended = true;
        } else {
            T result = co_await std::move(work);
            running.ended = true;
            co_return result;
        }
    } catch (...) {
        running.ended = true;
        running.timer.fail();
        throw;
    }
}

namespace async {

/// Takes a snapshot of the monitor each second, so that its windows are as long as their names say: to be
/// spawned beside what is measured. Ends by cancellation only, with errc::cancelled; or with
/// std::bad_alloc.
///
///     asio::co_spawn(rt.get_executor(), async::tick_each_second(monitor, scheduler),
///                    asio::bind_cancellation_slot(stop.slot(), asio::detached));
///
/// The monitor must outlive it.
[[nodiscard]] boost::asio::awaitable<void> tick_each_second(const percentile_monitor& monitor,
                                                            std::shared_ptr<scheduler> time);

}  // namespace async
}  // namespace levee
