/// Threads for programs that have none: an io_context and a pool for blocking calls.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>

namespace levee {

/// An io_context run by `threads` threads, and `blocking_threads` more for what blocks. Programs that have
/// an io_context of their own do not need this: they hand its executor to levee.
///
/// Declare it before the caches and clients that use it, so that it is destroyed after them.
///
/// Thread safety: `get_executor` and `blocking_executor` are safe on a shared object.
/// Errors: a handler that throws ends the program, as an exception that leaves a thread does.
class runtime {
public:
    /// Starts the threads. Zero of either, or more than 1,024, throws std::invalid_argument.
    explicit runtime(std::size_t threads = 1, std::size_t blocking_threads = 4);

    /// Stops both and joins their threads: handlers that run are waited for, those that wait are
    /// destroyed unrun.
    ~runtime();

    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;

    /// Where coroutines, timers and sockets run. Code on it must not block: blocking calls of levee's
    /// caches that use this executor refuse with errc::would_deadlock.
    [[nodiscard]] boost::asio::any_io_executor get_executor() const noexcept;

    /// Where plain loaders and blocking database calls run on behalf of asynchronous callers.
    [[nodiscard]] boost::asio::any_io_executor blocking_executor() const noexcept;

private:
    struct threads;
    std::unique_ptr<threads> threads_;
};

}  // namespace levee
