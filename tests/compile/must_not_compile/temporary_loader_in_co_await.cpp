// expect: name this loader first
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/cache/cache.hpp"

// The loader is destroyed twice by g++ 12, and its string with it.
boost::asio::awaitable<void> use(levee::cache<int, std::string>& cache, std::string prefix) {
    auto value = co_await cache.async_get_or_load(
        1, [prefix](int key) { return prefix + std::to_string(key); }, boost::asio::use_awaitable);
}
