// A function that owns something, written into the call, would be destroyed twice by g++ 12.
// expect: deleted function
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/postgres/pool.hpp"

namespace asio = boost::asio;

asio::awaitable<int> one(levee::postgres::pool& db) {
    const std::string name = "a name, and more than fits in the string itself";
    co_return co_await db.async_transaction(
        [name](levee::postgres::transaction&) -> asio::awaitable<int> { co_return 1; }, asio::use_awaitable);
}
