// How a handler is posted to its own executor from a thread of somebody else.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>

namespace levee::cache_detail {

/// The executor of `handler`, kept at work while the result lives. The context of a blocking call may be
/// destroyed as soon as the last handler has run: not before the thread that posted it has left it.
template <class Handler>
[[nodiscard]] auto tracked_executor_of(const Handler& handler) {
    return boost::asio::prefer(boost::asio::get_associated_executor(handler),
                               boost::asio::execution::outstanding_work.tracked);
}

}  // namespace levee::cache_detail
