#include "levee/async/runtime.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace levee {
namespace {

std::size_t checked(const char* what, std::size_t count) {
    constexpr std::size_t most = 1024;
    if (count == 0 || count > most) {
        throw std::invalid_argument(std::string("runtime: ") + what + " is " + std::to_string(count) +
                                    "; it must be in [1, 1024]");
    }
    return count;
}

}  // namespace

struct runtime::threads {
    threads(std::size_t count, std::size_t blocking_count)
        : context(static_cast<int>(count)), work(context.get_executor()), blocking(blocking_count) {
        running.reserve(count);
        try {
            for (std::size_t i = 0; i < count; ++i) {
                running.emplace_back([this] { context.run(); });
            }
        } catch (...) {  // the system has no more threads: those that run must be stopped to be joined
            stop_context();
            throw;
        }
    }

    ~threads() {
        // The blocking threads first: what runs there may be waiting for a coroutine on the context.
        blocking.stop();
        blocking.join();
        stop_context();
    }

    void stop_context() {
        work.reset();
        context.stop();
        running.clear();  // joins, before the context goes
    }

    threads(const threads&) = delete;
    threads& operator=(const threads&) = delete;

    boost::asio::io_context context;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    boost::asio::thread_pool blocking;
    std::vector<std::jthread> running;
};

runtime::runtime(std::size_t threads_wanted, std::size_t blocking_threads)
    : threads_(std::make_unique<threads>(checked("threads", threads_wanted),
                                         checked("blocking_threads", blocking_threads))) {}

runtime::~runtime() = default;

boost::asio::any_io_executor runtime::get_executor() const noexcept {
    return threads_->context.get_executor();
}

boost::asio::any_io_executor runtime::blocking_executor() const noexcept {
    return threads_->blocking.get_executor();
}

}  // namespace levee
