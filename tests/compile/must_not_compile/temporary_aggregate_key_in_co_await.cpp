// expect: name this key first
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <string>

#include "levee/cache/cache.hpp"

struct key {
    std::string text;
    bool operator==(const key&) const = default;
};
struct key_hash {
    std::size_t operator()(const key& k) const { return std::hash<std::string>()(k.text); }
};

boost::asio::awaitable<void> use(levee::cache<key, std::string, key_hash>& cache) {
    auto load = [](const key& k) { return k.text; };
    auto value = co_await cache.async_get_or_load(key{"a"}, load, boost::asio::use_awaitable);
}
