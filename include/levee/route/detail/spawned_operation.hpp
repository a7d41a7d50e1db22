/// Spawns a coroutine for a completion handler, and passes the handler's cancellation on to it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <memory>
#include <utility>

namespace levee::route::detail {

/// What a spawned coroutine and its completion have in common. Owned by the completion, and by emissions
/// that are under way; the handler's slot only refers to it.
template <class Handler>
struct spawned_operation {
    spawned_operation(Handler&& to, boost::asio::any_io_executor on)
        : handler(std::move(to)), strand(std::move(on)) {}

    Handler handler;
    boost::asio::any_io_executor strand;
    boost::asio::cancellation_signal signal;
};

/// What co_spawn gets as its handler: associated with what the user's handler is, but for the slot.
template <class Handler>
struct spawned_completion {
    using executor_type = boost::asio::associated_executor_t<Handler, boost::asio::any_io_executor>;
    using allocator_type = boost::asio::associated_allocator_t<Handler>;
    using cancellation_slot_type = boost::asio::cancellation_slot;

    std::shared_ptr<spawned_operation<Handler>> operation;

    [[nodiscard]] executor_type get_executor() const noexcept {
        return boost::asio::get_associated_executor(operation->handler, operation->strand);
    }
    [[nodiscard]] allocator_type get_allocator() const noexcept {
        return boost::asio::get_associated_allocator(operation->handler);
    }
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
        return operation->signal.slot();
    }

    template <class... Results>
    void operator()(std::exception_ptr error, Results... results) {
        // The handler may use its slot for the next operation, or end its life.
        auto slot = boost::asio::get_associated_cancellation_slot(operation->handler);
        if (slot.is_connected()) {
            slot.clear();
        }
        Handler handler = std::move(operation->handler);
        operation.reset();
        std::move(handler)(std::move(error), std::move(results)...);
    }
};

/// Runs `work` on `strand`, then calls `handler` on its executor.
///
/// Boost 1.81's co_spawn puts into the slot an emission that goes on, later and on the strand, by a plain
/// pointer into that slot, which has another use by then if the work has just ended. So the user's slot
/// gets an emission that keeps what it needs.
template <class T, class Handler>
void spawn_for(Handler handler, const boost::asio::any_io_executor& strand, boost::asio::awaitable<T> work) {
    namespace asio = boost::asio;
    const auto made = std::make_shared<spawned_operation<Handler>>(std::move(handler), strand);
    auto slot = asio::get_associated_cancellation_slot(made->handler);
    if (slot.is_connected()) {
        // Before the work begins, which may end before this function does.
        slot.assign([weak = std::weak_ptr(made)](asio::cancellation_type type) {
            if (const auto alive = weak.lock()) {
                asio::post(alive->strand, [alive, type] {
                    alive->signal.emit(type);
                    // The same again in the signal's own slot, which has to live for one step more.
                    asio::post(alive->strand, [alive] { static_cast<void>(alive); });
                });
            }
        });
    }
    asio::co_spawn(strand, std::move(work), spawned_completion<Handler>{made});
}

}  // namespace levee::route::detail
