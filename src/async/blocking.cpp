#include "levee/async/blocking.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

namespace levee::async {
namespace {

namespace asio = boost::asio;

// Asio encodes blocking, relationship and tracked work in three bits of the executor's type; an
// any_io_executor may hold any of the eight.
template <template <class, unsigned> class Executor, unsigned Bits>
bool runs_here(const asio::any_io_executor& executor) noexcept {
    const auto* held = executor.target<Executor<std::allocator<void>, Bits>>();
    return held != nullptr && held->running_in_this_thread();
}

template <class Allocator, unsigned Bits>
using context_executor = asio::io_context::basic_executor_type<Allocator, Bits>;
template <class Allocator, unsigned Bits>
using pool_executor = asio::thread_pool::basic_executor_type<Allocator, Bits>;

template <unsigned... Bits>
bool context_runs_here(const asio::any_io_executor& executor,
                       std::integer_sequence<unsigned, Bits...> /*all*/) noexcept {
    return (... || (runs_here<context_executor, Bits>(executor) || runs_here<pool_executor, Bits>(executor)));
}

// A strand blocks with the context under it: its next handler may need the very thread that waits.
template <class Inner>
bool strand_runs_here(const asio::any_io_executor& executor) noexcept {
    const auto* held = executor.target<asio::strand<Inner>>();
    return held != nullptr &&
           (held->running_in_this_thread() || runs_on_this_thread(held->get_inner_executor()));
}

}  // namespace

bool runs_on_this_thread(const asio::any_io_executor& executor) noexcept {
    return executor && (context_runs_here(executor, std::make_integer_sequence<unsigned, 8>{}) ||
                        strand_runs_here<asio::any_io_executor>(executor) ||
                        strand_runs_here<asio::io_context::executor_type>(executor) ||
                        strand_runs_here<asio::thread_pool::executor_type>(executor));
}

}  // namespace levee::async
