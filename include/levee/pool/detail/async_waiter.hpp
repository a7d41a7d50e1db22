/// A completion handler that waits for a pool.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/pool/detail/pool_core.hpp"

namespace levee::pool_detail {

/// Calls `handler(error, value)` on its own executor, never inside the calling function.
template <class Handler, class Value>
void post_completion(Handler handler, std::exception_ptr error, Value value) {
    auto executor = boost::asio::get_associated_executor(handler);
    boost::asio::post(executor, [handler = std::move(handler), error = std::move(error),
                                 value = std::move(value)]() mutable {
        std::move(handler)(std::move(error), std::move(value));
    });
}

/// Owned by whoever prepares it until it is queued; then by the pool, and destroyed after `finish`.
///
/// `Traits::make(core, outcome)` makes what the handler takes, `Traits::cancel(core, waiter)` gives up.
template <class Handler, class Traits>
class async_waiter final : public pool_waiter {
    using executor_type = std::decay_t<boost::asio::associated_executor_t<Handler>>;
    using tracked_executor = std::decay_t<decltype(boost::asio::prefer(
        std::declval<executor_type>(), boost::asio::execution::outstanding_work.tracked))>;

public:
    async_waiter(Handler handler, std::shared_ptr<pool_core> core)
        : handler_(std::move(handler)),
          executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                        boost::asio::execution::outstanding_work.tracked)),
          core_(std::move(core)) {}

    ~async_waiter() = default;

    [[nodiscard]] Handler take_handler() { return std::move(handler_); }

    /// Before it is queued. Emissions come on the handler's executor and `deliver` clears the slot there, so
    /// that this waiter is alive whenever the slot's function runs.
    void listen_for_cancellation() {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([this](boost::asio::cancellation_type type) {
                if (type != boost::asio::cancellation_type::none) {
                    const std::shared_ptr<pool_core> kept = core_;
                    Traits::cancel(*kept, *this);
                }
            });
        }
    }

    void clear_slot() {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
    }

    void finish(wait_outcome outcome) noexcept override {
        std::unique_ptr<async_waiter> self(this);
        // Made here: should the executor drop what is posted, the lease goes back.
        typename Traits::value_type value = Traits::make(*core_, outcome);
        auto executor = executor_;
        boost::asio::post(executor, [self = std::move(self), error = std::move(outcome.error),
                                     value = std::move(value)]() mutable {
            deliver(std::move(self), std::move(error), std::move(value));
        });
    }

private:
    static void deliver(std::unique_ptr<async_waiter> self, std::exception_ptr error,
                        typename Traits::value_type value) {
        self->clear_slot();
        Handler handler = std::move(self->handler_);
        self.reset();  // frees what the operation held before its completion starts the next one
        std::move(handler)(std::move(error), std::move(value));
    }

    Handler handler_;
    tracked_executor executor_;
    std::shared_ptr<pool_core> core_;
};

}  // namespace levee::pool_detail
