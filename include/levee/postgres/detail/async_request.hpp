/// A completion handler that waits for an answer.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/postgres/detail/session_access.hpp"
#include "levee/postgres/statement.hpp"

namespace levee::postgres::detail {

// What a handler takes of a request that was answered.

struct to_result {
    using type = result;
    type operator()(request& done) const { return std::move(done.answer); }
};
struct to_rows {
    using type = std::uint64_t;
    type operator()(request& done) const { return done.answer.affected_rows(); }
};
struct to_notification {
    using type = notification;
    type operator()(request& done) const { return std::move(done.note); }
};
struct to_true {
    using type = bool;
    type operator()(request& /*done*/) const { return true; }
};

/// Owned by a session from `submit` on; `finish` hands it to the handler's executor, where it ends, perhaps
/// after the session and its executor: it holds nothing of theirs then.
template <class Handler, class Convert>
class async_request final : public request {
    using executor_type = std::decay_t<boost::asio::associated_executor_t<Handler>>;
    using tracked_executor = std::decay_t<decltype(boost::asio::prefer(
        std::declval<executor_type>(), boost::asio::execution::outstanding_work.tracked))>;
    using value_type = typename Convert::type;

public:
    async_request(Handler handler, std::shared_ptr<session_access> to)
        : handler_(std::move(handler)),
          executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                        boost::asio::execution::outstanding_work.tracked)),
          to_(std::move(to)) {}
    ~async_request() = default;

    /// Emissions come on the handler's executor and `deliver` clears the slot there, so that this is alive
    /// whenever the slot's function runs.
    void listen_for_cancellation() {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([this, gate = to_->gate()](boost::asio::cancellation_type type) {
                if (type != boost::asio::cancellation_type::none) {
                    const std::shared_ptr<cancel_gate> kept = gate;
                    kept->cancel(*this);
                }
            });
        }
    }

    void finish() noexcept override {
        std::unique_ptr<async_request> self(this);
        to_ = nullptr;
        auto executor = executor_;
        boost::asio::post(executor, [self = std::move(self)]() mutable { deliver(std::move(self)); });
    }

private:
    static void deliver(std::unique_ptr<async_request> self) {
        auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
        std::exception_ptr failed = self->cause;
        value_type value{};
        if (!failed) {
            try {
                value = Convert{}(*self);
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
    std::shared_ptr<session_access> to_;  // until it is answered
};

/// What the session is asked for, without who waits for it.
struct question {
    request_kind kind = request_kind::statement;
    std::string text{};  ///< The SQL, or the bytes of copy_data.
    parameters values{};
    time_point deadline{};
    bool is_reset = false;
};

/// Starts an asynchronous request: what async_initiate is given.
template <class Convert>
struct async_operation {
    template <class Handler>
    void operator()(Handler&& handler, question asked, std::shared_ptr<session_access> to) const {
        auto made = std::make_unique<async_request<std::decay_t<Handler>, Convert>>(
            std::forward<Handler>(handler), to);
        made->kind = asked.kind;
        (asked.kind == request_kind::copy_data ? made->bytes : made->sql) = std::move(asked.text);
        made->values = std::move(asked.values);
        made->deadline = asked.deadline;
        made->listen_for_cancellation();
        if (asked.is_reset) {
            to->begin_reset(*made.release());
        } else {
            to->submit(*made.release());  // its own now; it may be finished any moment
        }
    }
};

template <class Convert, class Token>
auto start(std::shared_ptr<session_access> to, question asked, Token&& token) {
    return boost::asio::async_initiate<Token, void(std::exception_ptr, typename Convert::type)>(
        async_operation<Convert>{}, token, std::move(asked), std::move(to));
}

template <class Token>
auto async_ask(std::shared_ptr<session_access> to, statement what, time_point deadline, Token&& token) {
    question asked;
    asked.text = std::move(what.sql);
    asked.values = std::move(what.values);
    asked.deadline = deadline;
    return start<to_result>(std::move(to), std::move(asked), std::forward<Token>(token));
}

}  // namespace levee::postgres::detail
