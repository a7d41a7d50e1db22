#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/route/health_checker.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<void> connect_once(endpoint to) {
    const auto executor = co_await asio::this_coro::executor;
    boost::system::error_code not_an_address;
    const auto address = asio::ip::make_address(to.host, not_an_address);
    tcp::socket socket(executor);
    if (!not_an_address) {
        const tcp::endpoint there(address, to.port);
        co_await socket.async_connect(there, asio::use_awaitable);
        co_return;
    }
    tcp::resolver resolver(executor);
    const std::string port = std::to_string(to.port);
    const auto found = co_await resolver.async_resolve(to.host, port, asio::use_awaitable);
    co_await asio::async_connect(socket, found, asio::use_awaitable);
}

}  // namespace

health_probe tcp_probe() {
    return connect_once;
}

}  // namespace levee::route
