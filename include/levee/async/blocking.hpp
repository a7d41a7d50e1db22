/// Where blocking code and executors meet: driving an awaitable on one's own thread, and knowing when a
/// thread must not block.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::async {

/// Runs `work` to its end on the calling thread, on an io_context of its own.
///
/// Blocks: until `work` ends; it is given no thread but this one. Errors: what `work` throws.
/// Cost: an io_context, about 10 µs; meant as the default of interfaces that adapters override.
template <class T>
T run_on_this_thread(boost::asio::awaitable<T> work) {
    boost::asio::io_context context(1);
    // Stands if the work is destroyed instead of ended, as when what it waits for goes away.
    std::exception_ptr failure = std::make_exception_ptr(error(errc::closed, "the awaited work was dropped"));
    if constexpr (std::is_void_v<T>) {
        boost::asio::co_spawn(context, std::move(work), [&](std::exception_ptr e) { failure = e; });
        context.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
    } else {
        std::optional<T> result;
        boost::asio::co_spawn(context, std::move(work), [&](std::exception_ptr e, T value) {
            failure = e;
            result.emplace(std::move(value));
        });
        context.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
        return std::move(*result);
    }
}

/// True if the calling thread is running handlers of the context behind `executor`, so that blocking here
/// could wait for itself. Knows io_context, thread_pool and strands over them; false for others.
[[nodiscard]] bool runs_on_this_thread(const boost::asio::any_io_executor& executor) noexcept;

}  // namespace levee::async
