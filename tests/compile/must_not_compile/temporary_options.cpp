// Options made inside the call: whatever the token, so that the habit does not form.
// expect: deleted function
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "levee/cache/cache.hpp"

boost::asio::awaitable<void> use(levee::cache<int, std::string>& cache) {
    auto load = [](int key) { return std::to_string(key); };
    auto value = co_await cache.async_get_or_load(
        1, load, levee::entry_options{.ttl = std::chrono::seconds(1)}, boost::asio::use_awaitable);
}
