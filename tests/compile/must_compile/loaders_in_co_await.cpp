// What may stand inside a co_await expression. tests/unit/cache/co_await_test.cpp runs the same.
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <string>

#include "levee/cache/cache.hpp"

boost::asio::awaitable<void> use(levee::cache<std::string, std::string>& cache, std::string prefix) {
    auto named = [prefix](const std::string& key) { return prefix + key; };
    auto a = co_await cache.async_get_or_load("a", named, boost::asio::use_awaitable);
    auto b = co_await cache.async_get_or_load(
        "b", [&](const std::string& key) { return prefix + key; }, boost::asio::use_awaitable);
    const levee::entry_options brief{.ttl = std::chrono::seconds(1)};
    auto c = co_await cache.async_get_or_load("c", named, brief, boost::asio::use_awaitable);
    // Not awaited here, so a temporary loader does no harm.
    auto d = cache.async_get_or_load(
        "d", [prefix](const std::string& key) { return prefix + key; }, boost::asio::use_future);
}
