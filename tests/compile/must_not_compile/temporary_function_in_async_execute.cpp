// A function that owns something, written into the call, would be destroyed twice by g++ 12.
// expect: levee: name this function first
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/route/execute.hpp"

namespace asio = boost::asio;

asio::awaitable<int> one(levee::load_balancer& balancer, const levee::route::execute_policy& policy) {
    const std::string path = "/price, and more than fits in the string itself";
    co_return co_await levee::route::async_execute(
        balancer, [path](levee::route::attempt&) -> asio::awaitable<int> { co_return 1; }, policy,
        asio::use_awaitable);
}
