// A policy written into the call would be a temporary inside co_await.
// expect: use of deleted function
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "levee/route/execute.hpp"

namespace asio = boost::asio;

asio::awaitable<int> one(levee::load_balancer& balancer) {
    const auto ask = [](levee::route::attempt&) -> asio::awaitable<int> { co_return 1; };
    co_return co_await levee::route::async_execute(balancer, ask, levee::route::execute_policy{},
                                                   asio::use_awaitable);
}
