/// A pool of something of one's own, here scratch files: threads and coroutines wait in one queue for them.
#include <levee/async/runtime.hpp>
#include <levee/pool/connection_pool.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct file_closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using scratch_file = std::unique_ptr<std::FILE, file_closer>;

int main() {
    levee::runtime runtime;
    // README begins
    const auto open = [] { return scratch_file(std::tmpfile()); };
    const auto is_valid = [](scratch_file& file) { return std::ferror(file.get()) == 0; };
    const auto reset = [](scratch_file& file) { std::rewind(file.get()); };  // between two users
    levee::connection_pool<scratch_file> files(levee::factory_from(open, is_valid, reset),
                                               {.name = "scratch",
                                                .max_size = 2,
                                                .executor = runtime.get_executor(),
                                                .blocking_executor = runtime.blocking_executor()});

    const auto coroutine = [&]() -> asio::awaitable<void> {
        const auto file = co_await files.async_acquire(asio::use_awaitable);
        std::fputs("written by a coroutine\n", file->get());
    };  // here it goes back, to whoever waits longest
    const auto thread = [&] {
        const auto file = files.acquire("a thread");  // the label is what reports name; else file and line
        std::fputs("written by a thread\n", file->get());
    };
    // README ends

    std::vector<std::jthread> threads;
    std::vector<std::future<void>> coroutines;
    for (int i = 0; i < 20; ++i) {
        threads.emplace_back(thread);
        coroutines.push_back(asio::co_spawn(runtime.get_executor(), coroutine(), asio::use_future));
    }
    threads.clear();
    for (auto& each : coroutines) {
        each.get();
    }
    const auto stats = files.stats();
    std::cout << stats.acquired << " users shared " << stats.created << " files\n";
    const auto one = files.acquire("the main function");
    const auto other = files.acquire();  // or without a label: the place of the call
    try {
        static_cast<void>(files.acquire(10ms));
    } catch (const levee::pool_error& error) {
        std::cout << error.what() << '\n';
    }
    std::cout << (files.close(10ms) ? "closed" : "closed, but for what is still held") << '\n';
}
