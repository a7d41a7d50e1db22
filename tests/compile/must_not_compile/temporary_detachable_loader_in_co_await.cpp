// The same for what `detachable` returns, which is an aggregate.
// expect: name this loader first
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/cache/cache.hpp"

boost::asio::awaitable<void> use(levee::cache<int, std::string>& cache, std::string prefix) {
    auto load = [prefix](int key) { return prefix + std::to_string(key); };
    auto value = co_await cache.async_get_or_load(1, levee::detachable(load), boost::asio::use_awaitable);
}
