/// Blocking calls, and connecting, behind the templates.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/postgres/connection_options.hpp"
#include "levee/postgres/detail/session_access.hpp"
#include "levee/postgres/statement.hpp"

namespace levee::postgres {
class connection;
}

namespace levee::postgres::detail {

/// When a call that blocks its thread ends. By the exact steady clock, which the waits of threads keep,
/// whatever the scheduler of asynchronous callers has for time. `timeout` zero: `otherwise`.
[[nodiscard]] inline time_point blocking_deadline(duration timeout, duration otherwise) noexcept {
    return after(clock::precise().now(), timeout > duration::zero() ? timeout : otherwise);
}

/// Executes it on the calling thread.
result ask(session_access& to, statement what, time_point until);

using connected = std::function<void(std::exception_ptr, std::unique_ptr<connection>)>;

/// Connects on the options' executor, and calls `then` there.
void connect_then(const connection_options& options, connected then);

/// A function that hands what it is called with to the handler, on the handler's executor.
template <class T, class Handler>
std::function<void(std::exception_ptr, T)> deliver_to(Handler handler) {
    auto executor = boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                        boost::asio::execution::outstanding_work.tracked);
    auto kept = std::make_shared<Handler>(std::move(handler));
    return [executor, kept](std::exception_ptr failed, T value) mutable {
        auto moved = std::make_shared<T>(std::move(value));
        boost::asio::post(executor, [kept = std::move(kept), failed = std::move(failed), moved] {
            Handler own = std::move(*kept);
            std::move(own)(failed, std::move(*moved));
        });
    };
}

}  // namespace levee::postgres::detail
