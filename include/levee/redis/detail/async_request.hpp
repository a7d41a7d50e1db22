/// A completion handler that waits for an answer.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "levee/redis/detail/convert.hpp"
#include "levee/redis/detail/request_sink.hpp"

namespace levee::redis::detail {

/// Owned by a connection from `submit` on; `finish` hands it to the handler's executor, where it ends,
/// perhaps after the client and its executor: it holds nothing of theirs. `Convert` makes of the answer what
/// the handler takes: a `Convert::type`.
template <class Handler, class Convert>
class async_request final : public request {
    using executor_type = std::decay_t<boost::asio::associated_executor_t<Handler>>;
    using tracked_executor = std::decay_t<decltype(boost::asio::prefer(
        std::declval<executor_type>(), boost::asio::execution::outstanding_work.tracked))>;
    using value_type = typename Convert::type;

public:
    template <class From>
    async_request(Handler handler, From&& from, time_point until, Convert convert)
        : request(std::forward<From>(from), until),
          handler_(std::move(handler)),
          executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                        boost::asio::execution::outstanding_work.tracked)),
          convert_(std::move(convert)) {}
    ~async_request() = default;

    /// Emissions come on the handler's executor and `deliver` clears the slot there, so that this is alive
    /// whenever the slot's function runs.
    void listen_for_cancellation(const request_sink& at) {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([this, gate = at.gate()](boost::asio::cancellation_type type) {
                if (type != boost::asio::cancellation_type::none) {
                    const std::shared_ptr<cancel_gate> kept = gate;
                    kept->cancel(*this);
                }
            });
        }
    }

    void finish() noexcept override {
        std::unique_ptr<async_request> self(this);
        auto executor = executor_;
        boost::asio::post(executor, [self = std::move(self)]() mutable { deliver(std::move(self)); });
    }

private:
    static void deliver(std::unique_ptr<async_request> self) {
        auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
        std::exception_ptr failed;
        value_type value{};
        if (self->cause.code) {
            failed = self->cause.to_exception();
        } else {
            try {
                value = self->convert_(*self);
            } catch (...) {
                failed = std::current_exception();
            }
        }
        Handler handler = std::move(self->handler_);
        self.reset();  // frees what the operation held before its completion starts the next one
        std::move(handler)(std::move(failed), std::move(value));
    }

    Handler handler_;
    tracked_executor executor_;
    Convert convert_;
};

/// Starts an asynchronous request: what async_initiate is given.
template <class Convert>
struct async_operation {
    template <class Handler, class From>
    void operator()(Handler&& handler, From from, std::string fallback, std::uint64_t generation,
                    time_point until, Convert convert, std::shared_ptr<request_sink> to) const {
        using request_type = async_request<std::decay_t<Handler>, Convert>;
        const bool is_empty = is_nothing<Convert>(from);
        auto made = std::make_unique<request_type>(std::forward<Handler>(handler), std::move(from), until,
                                                   std::move(convert));
        if (is_empty) {
            answer_with_nothing<Convert>(*made);
            made.release()->finish();
            return;
        }
        made->fallback = std::move(fallback);
        made->generation = generation;
        made->listen_for_cancellation(*to);
        to->submit(*made.release());  // its own now; it may be finished any moment
    }
};

}  // namespace levee::redis::detail
