/// Cache-aside in coroutines: loads suspend instead of blocking, and callers join each other's loads.
#include <levee/async/runtime.hpp>
#include <levee/cache/cache.hpp>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

int main() {
    levee::runtime runtime(2);  // an io_context with two threads; a program's own will do as well
    const auto time = levee::async::steady_scheduler(runtime.get_executor());
    std::atomic<int> loads = 0;

    levee::cache<std::string, std::string> pages(
        {.name = "pages", .local = {.max_entries = 1000}, .executor = runtime.get_executor()});

    // A loader is named, not written into the co_await: g++ 12 destroys temporaries there twice, and what
    // would be hurt does not compile.
    const auto load = [&](std::string path) -> asio::awaitable<std::optional<std::string>> {
        ++loads;
        co_await time->sleep_until(time->now() + 50ms);  // stands for the network
        if (path == "/missing") {
            co_return std::nullopt;
        }
        co_return "the page at " + path;
    };
    const auto visit = [&](std::string path) -> asio::awaitable<std::string> {
        const auto page = co_await pages.async_get_or_load(path, load, asio::use_awaitable);
        co_return page.value_or("404");
    };

    std::vector<std::future<std::string>> visitors;
    const auto begun = time->now();
    for (int i = 0; i < 1000; ++i) {
        visitors.push_back(
            asio::co_spawn(runtime.get_executor(), visit(i % 2 ? "/home" : "/missing"), asio::use_future));
    }
    for (auto& visitor : visitors) {
        visitor.wait();
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(time->now() - begun);
    std::cout << "1,000 coroutines were answered in " << took.count() << " ms by " << loads
              << " loads of 50 ms\n"
              << "/missing: " << visitors[0].get() << "\n/home: " << visitors[1].get() << '\n';

    // try_get neither waits nor suspends: for hot paths.
    std::cout << "in the cache: " << pages.try_get("/home").value_or("nothing") << '\n'
              << pages.stats().joined << " callers joined a load\n";
}
