/// The asynchronous operations of a pool.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/pool/detail/async_waiter.hpp"
#include "levee/pool/pooled.hpp"

namespace levee::pool_detail {

template <class C>
struct acquire_traits {
    using value_type = pooled<C>;

    static value_type make(pool_core& core, const wait_outcome& outcome) {
        return outcome.slot ? pooled<C>(core, *outcome.slot) : pooled<C>();
    }
    static void cancel(pool_core& core, pool_waiter& waiter) noexcept { core.cancel(waiter); }
};

struct drain_traits {
    using value_type = bool;

    static value_type make(pool_core& /*core*/, const wait_outcome& outcome) { return outcome.is_drained; }
    static void cancel(pool_core& core, pool_waiter& waiter) noexcept {
        core.cancel_drain_wait(waiter, std::make_exception_ptr(error(errc::cancelled, "draining a pool")));
    }
};

template <class C>
struct async_acquire_operation {
    std::shared_ptr<pool_core> core;

    template <class Handler>
    void operator()(Handler&& handler, time_point deadline, holder_label label) const {
        using waiter_type = async_waiter<std::decay_t<Handler>, acquire_traits<C>>;
        const auto first = core->acquire_idle(label);
        if (first.is_fit) {
            post_completion(std::decay_t<Handler>(std::forward<Handler>(handler)), std::exception_ptr(),
                            pooled<C>(*core, first.slot));
            return;
        }
        auto waiter = std::make_unique<waiter_type>(std::forward<Handler>(handler), core);
        waiter->listen_for_cancellation();
        const auto kept = core;  // this operation may be gone once the waiter is queued
        const auto begun = kept->begin_acquire({deadline, label, first}, *waiter);
        if (begun.is_queued) {
            static_cast<void>(waiter.release());  // its own now; it may be finished any moment
            return;
        }
        waiter->clear_slot();
        post_completion(waiter->take_handler(), begun.error,
                        begun.slot ? pooled<C>(*kept, *begun.slot) : pooled<C>());
    }
};

struct async_drain_operation {
    std::shared_ptr<pool_core> core;

    template <class Handler>
    void operator()(Handler&& handler, time_point deadline) const {
        using waiter_type = async_waiter<std::decay_t<Handler>, drain_traits>;
        const auto kept = core;
        auto waiter = std::make_unique<waiter_type>(std::forward<Handler>(handler), kept);
        waiter->listen_for_cancellation();
        kept->wait_drained(deadline, *waiter.release());
    }
};

}  // namespace levee::pool_detail
