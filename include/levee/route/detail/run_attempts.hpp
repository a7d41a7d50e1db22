/// The asynchronous driver of `execution`: a coroutine that runs its attempts and waits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/async/scheduler.hpp"
#include "levee/core/error.hpp"
#include "levee/route/detail/execution.hpp"

namespace levee::route::detail {

template <class T>
inline constexpr bool is_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_awaitable<boost::asio::awaitable<T, Executor>> = true;

template <class T>
struct awaited;
template <class T, class Executor>
struct awaited<boost::asio::awaitable<T, Executor>> {
    using type = T;
};

struct nothing {};  // stands for the value of void

/// How work with a time limit ended. `error` null and no value: it was cancelled at its limit.
template <class T>
struct ended {
    std::exception_ptr error;
    std::optional<std::conditional_t<std::is_void_v<T>, nothing, T>> value;
};

/// Work and its time limit, which end each other. Owned by the completion handlers of both; owns the
/// coroutine that waits, so that all goes when the executor does.
template <class T>
struct race : std::enable_shared_from_this<race<T>> {
    race(boost::asio::any_io_executor on, ended<T>& to) : strand(std::move(on)), result(to) {}

    boost::asio::any_io_executor strand;
    ended<T>& result;  // in the frame of the coroutine that waits
    boost::asio::cancellation_signal end_work;
    boost::asio::cancellation_signal end_limit;
    std::function<void()> resume;
    int running = 2;
    bool is_working = true;
    bool is_over_limit = false;

    void end(boost::asio::cancellation_signal& which) {
        which.emit(boost::asio::cancellation_type::terminal);
        // The emission may have been posted, and then refers to the signal: it must live until then.
        boost::asio::post(strand, [self = this->shared_from_this()] {});
    }
    void work_ended(const std::exception_ptr& error) {
        is_working = false;
        // Whatever it threw after the limit, it threw because of that.
        result.error = is_over_limit && !result.value ? nullptr : error;
        end(end_limit);
        one_ended();
    }
    void limit_ended(const std::exception_ptr& error) {
        if (error == nullptr && is_working) {
            is_over_limit = true;
            end(end_work);
        }
        one_ended();
    }
    void one_ended() {
        if (--running == 0) {
            std::exchange(resume, nullptr)();
        }
    }
};

/// Runs `work` and cancels it at `until`; it is waited for in any case, so what it refers to may go away
/// afterwards. A result that came in spite of the cancellation is a result.
/// Must run on a strand. Errors: errc::cancelled if the awaiting coroutine was cancelled.
template <class T>
boost::asio::awaitable<ended<T>> run_until(async::scheduler& time, time_point until,
                                           boost::asio::awaitable<T> work) {
    namespace asio = boost::asio;
    const asio::any_io_executor strand = co_await asio::this_coro::executor;
    ended<T> how;
    auto begin = [&](auto handler) {
        const auto both = std::make_shared<race<T>>(strand, how);
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            slot.assign([weak = both->weak_from_this()](asio::cancellation_type /*any*/) {
                if (const auto alive = weak.lock()) {
                    alive->end(alive->end_work);
                    alive->end(alive->end_limit);
                }
            });
        }
        const auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
        both->resume = [waiting] {
            auto own_slot = asio::get_associated_cancellation_slot(*waiting);
            if (own_slot.is_connected()) {
                own_slot.clear();
            }
            asio::post(asio::get_associated_executor(*waiting), [waiting] { std::move (*waiting)(); });
        };
        if constexpr (std::is_void_v<T>) {
            asio::co_spawn(strand, std::move(work),
                           asio::bind_cancellation_slot(both->end_work.slot(), [both](std::exception_ptr e) {
                               if (e == nullptr) {
                                   both->result.value.emplace();
                               }
                               both->work_ended(e);
                           }));
        } else {
            asio::co_spawn(
                strand, std::move(work),
                asio::bind_cancellation_slot(both->end_work.slot(), [both](std::exception_ptr e, T value) {
                    if (e == nullptr) {
                        both->result.value.emplace(std::move(value));
                    }
                    both->work_ended(e);
                }));
        }
        asio::co_spawn(strand, time.sleep_until(until),
                       asio::bind_cancellation_slot(both->end_limit.slot(),
                                                    [both](std::exception_ptr e) { both->limit_ended(e); }));
    };
    co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(begin, asio::use_awaitable);
    const asio::cancellation_state asked_to_end = co_await asio::this_coro::cancellation_state;
    if (!how.value && asked_to_end.cancelled() != asio::cancellation_type::none) {
        throw error(errc::cancelled, "executing a request");
    }
    co_return how;
}

/// Any cancellation ends the whole: half-done requests are no use to anybody.
inline boost::asio::cancellation_type as_terminal(boost::asio::cancellation_type type) noexcept {
    return type == boost::asio::cancellation_type::none ? type : boost::asio::cancellation_type::terminal;
}

template <class T, class Function>
boost::asio::awaitable<T> run_attempts(load_balancer& balancer, Function function, execute_policy policy,
                                       std::shared_ptr<async::scheduler> time) {
    namespace asio = boost::asio;
    co_await asio::this_coro::reset_cancellation_state(as_terminal, as_terminal);
    co_await asio::this_coro::throw_if_cancelled(false);
    execution state(balancer, policy, time->now());
    for (;;) {
        const asio::cancellation_state asked_to_end = co_await asio::this_coro::cancellation_state;
        if (asked_to_end.cancelled() != asio::cancellation_type::none) {
            throw error(errc::cancelled, "executing a request");
        }
        const execution::step next = state.next(time->now());
        if (next == execution::step::give_up) {
            std::rethrow_exception(state.failure());
        }
        if (next == execution::step::wait) {
            co_await time->sleep_until(state.wake_at());
            continue;
        }
        std::exception_ptr at_once;  // a function that throws before it has made its coroutine
        ended<T> how;
        std::optional<asio::awaitable<T>> work;
        try {
            work.emplace(function(state.current()));
        } catch (...) {
            at_once = std::current_exception();
        }
        if (at_once) {
            how.error = at_once;
        } else {
            how = co_await run_until<T>(*time, state.current().deadline(), *std::move(work));
        }
        if (how.value) {
            state.succeeded(time->now());
            if constexpr (std::is_void_v<T>) {
                co_return;
            } else {
                co_return *std::move(how.value);
            }
        }
        state.failed(how.error, time->now());
    }
}

}  // namespace levee::route::detail
