/// A completion handler that waits for a flight.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/cache/detail/cache_core.hpp"
#include "levee/cache/detail/load_flight.hpp"
#include "levee/core/error.hpp"

namespace levee::cache_detail {

/// The exception for a waiter that was let go without a result.
[[nodiscard]] inline std::exception_ptr let_go(flight_outcome why) {
    switch (why) {
        case flight_outcome::timeout:
            return std::make_exception_ptr(error(errc::timeout, "waiting for a load"));
        case flight_outcome::cancelled:
            return std::make_exception_ptr(error(errc::cancelled, "waiting for a load"));
        case flight_outcome::closed:
        case flight_outcome::reserve:
        case flight_outcome::result:
            break;
    }
    return std::make_exception_ptr(error(errc::closed, "waiting for a load"));
}

/// Whether the value found before the wait answers after it ended so; then it is counted.
template <class V>
[[nodiscard]] bool stands_in(cache_counters& counters, flight_outcome why, const found<V>& it,
                             time_point now) noexcept {
    if (!it.value) {
        return false;
    }
    if (why == flight_outcome::reserve || (why == flight_outcome::timeout && now < it.reserve_until)) {
        count(counters.stale_on_timeout);
        return true;
    }
    return false;
}

/// Calls `handler(error, value)` on its own executor, never inside the calling function.
template <class V, class Handler>
void post_completion(Handler handler, std::exception_ptr error, std::optional<V> value) {
    auto executor = boost::asio::get_associated_executor(handler);
    boost::asio::post(executor, [handler = std::move(handler), error = std::move(error),
                                 value = std::move(value)]() mutable {
        std::move(handler)(std::move(error), std::move(value));
    });
}

/// Owned by whoever prepares it until it has joined; then by the flight, and destroyed by `finish`.
template <class K, class V, class Handler>
class async_waiter final : public flight_waiter {
    using executor_type = std::decay_t<boost::asio::associated_executor_t<Handler>>;
    using tracked_executor = std::decay_t<decltype(boost::asio::prefer(
        std::declval<executor_type>(), boost::asio::execution::outstanding_work.tracked))>;

public:
    async_waiter(Handler handler, found<V> it)
        : handler_(std::move(handler)),
          found_(std::move(it)),
          executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                        boost::asio::execution::outstanding_work.tracked)) {
        if (found_.value && found_.state != freshness::absent) {
            set_has_reserve();
        }
    }

    /// Before joining: what it waits for, the edge that says so, and how it is cancelled.
    void prepare(std::shared_ptr<load_flight<K, V>> awaited, wait_edge edge) {
        awaited_ = std::move(awaited);
        edge_.emplace(std::move(edge));
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            // Emissions come on the handler's executor and `deliver` clears the slot there, so that
            // this waiter is alive whenever the slot's function runs.
            slot.assign([this](boost::asio::cancellation_type type) {
                if (type != boost::asio::cancellation_type::none) {
                    const std::shared_ptr<flight> kept = awaited_;
                    kept->leave(*this, flight_outcome::cancelled);
                }
            });
        }
    }

    /// After a refused join: as if `prepare` had not been called.
    void unprepare() {
        clear_slot();
        edge_.reset();
        awaited_.reset();
    }

    /// True if the handler belongs to the flight's own coroutine: a loader that asks for its own key.
    [[nodiscard]] bool runs_on_strand_of(const asio_flight& other) const {
        if constexpr (std::is_same_v<executor_type, boost::asio::any_io_executor>) {
            return other.runs_on(boost::asio::get_associated_executor(handler_));
        } else {
            return false;  // coroutines run on any_io_executor
        }
    }

    [[nodiscard]] Handler take_handler() { return std::move(handler_); }

    void finish(flight_outcome outcome) noexcept override {
        std::unique_ptr<async_waiter> self(this);
        auto executor = executor_;
        boost::asio::post(executor,
                          [self = std::move(self), outcome]() mutable { deliver(std::move(self), outcome); });
    }

private:
    static void deliver(std::unique_ptr<async_waiter> self, flight_outcome outcome) {
        self->clear_slot();
        std::exception_ptr failure;
        std::optional<V> value;
        if (outcome == flight_outcome::result) {
            try {
                value = self->awaited_->result();
            } catch (...) {
                failure = std::current_exception();
            }
        } else if (stands_in(*self->awaited_->setup().counters, outcome, self->found_,
                             self->awaited_->deadline())) {  // a time-out is then
            value = std::move(self->found_.value);
        } else {
            failure = let_go(outcome);
        }
        Handler handler = std::move(self->handler_);
        self.reset();  // frees what the operation held before its completion starts the next one
        std::move(handler)(std::move(failure), std::move(value));
    }

    void clear_slot() {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
    }

    Handler handler_;
    found<V> found_;
    tracked_executor executor_;
    std::shared_ptr<load_flight<K, V>> awaited_;
    std::optional<wait_edge> edge_;
};

}  // namespace levee::cache_detail
