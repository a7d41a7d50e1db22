/// Runs a request on a balancer's endpoints: attempts, retries on other endpoints, deadlines.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/strand.hpp>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/async/scheduler.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/route/attempt.hpp"
#include "levee/route/detail/execution.hpp"
#include "levee/route/detail/run_attempts.hpp"
#include "levee/route/detail/spawned_operation.hpp"
#include "levee/route/execute_policy.hpp"

namespace levee::route {

namespace detail {

template <class T>
struct completion {
    using signature = void(std::exception_ptr, T);
};
template <>
struct completion<void> {
    using signature = void(std::exception_ptr);
};

template <class T>
inline constexpr bool is_awaited_result = is_awaitable<T>;
template <class... Ts>
inline constexpr bool is_awaited_result<boost::asio::deferred_async_operation<Ts...>> = true;

template <class T, class Function>
struct execute_operation {
    load_balancer* balancer;

    template <class Handler>
    void operator()(Handler&& handler, Function function, execute_policy policy) const {
        std::shared_ptr<async::scheduler> time = policy.scheduler;
        if (time == nullptr) {
            time = async::steady_scheduler(boost::asio::get_associated_executor(handler));
        }
        // On a strand: an attempt and its time limit must not end at the same time on two threads.
        const auto strand = boost::asio::make_strand(time->executor());
        spawn_for<T>(std::decay_t<Handler>(std::forward<Handler>(handler)), strand,
                     run_attempts<T, Function>(*balancer, std::move(function), std::move(policy), time));
    }
};

}  // namespace detail

/// Runs `function(attempt&)` on an endpoint that the balancer picks, and again on others while the policy
/// allows; returns what it returns.
///
///     auto reply = route::execute(balancer, [&](route::attempt& at) {
///         return client.get(at.endpoint(), "/price", at.deadline());
///     }, {.deadline = 500ms, .attempt_timeout = 200ms, .is_idempotent = true});
///
/// No endpoint is tried twice while one is left that was not. Each attempt is reported to the balancer
/// once: ok if the function returned, else what the policy makes of the exception, unless the function said
/// so itself by `attempt::report`. A function says that a reply is no success by throwing.
///
/// Blocks: as long as the function does, which must keep to `attempt::deadline`; and for back-off, on the
/// calling thread. Errors: execute_error, which tells what each attempt met; what the function threw, as it
/// is, if that is not to be tried again; std::invalid_argument for the policy.
/// Thread safety: safe for one balancer, which must outlive the call.
template <class Function>
std::invoke_result_t<Function&, attempt&> execute(load_balancer& balancer, Function&& function,
                                                  const execute_policy& policy) {
    using result = std::invoke_result_t<Function&, attempt&>;
    static_assert(!detail::is_awaitable<result>,
                  "levee: execute runs plain functions; async_execute runs coroutines");
    const std::shared_ptr<async::scheduler> time =
        policy.scheduler ? policy.scheduler : async::steady_scheduler({});
    detail::execution state(balancer, policy, time->now());
    for (;;) {
        switch (state.next(time->now())) {
            case detail::execution::step::give_up:
                std::rethrow_exception(state.failure());
            case detail::execution::step::wait:
                async::run_on_this_thread(time->sleep_until(state.wake_at()));
                break;
            case detail::execution::step::attempt:
                try {
                    if constexpr (std::is_void_v<result>) {
                        function(state.current());
                        state.succeeded(time->now());
                        return;
                    } else {
                        result value = function(state.current());
                        state.succeeded(time->now());
                        return value;
                    }
                } catch (...) {
                    state.failed(std::current_exception(), time->now());
                }
                break;
        }
    }
}
template <class Function>
std::invoke_result_t<Function&, attempt&> execute(load_balancer& balancer, Function&& function) {
    return execute(balancer, std::forward<Function>(function), execute_policy{});
}

/// `execute` for coroutines: `function(attempt&)` returns boost::asio::awaitable<T>, and the completion
/// signature is void(std::exception_ptr, T), or void(std::exception_ptr) for void. T is default
/// constructible, as Asio's co_spawn wants it.
///
///     auto ask = [&](route::attempt& at) -> asio::awaitable<std::string> { ... };
///     auto reply = co_await route::async_execute(balancer, ask, policy, asio::use_awaitable);
///
/// An attempt is cancelled at its deadline and then waited for, so that it may refer to what the caller
/// owns; it has to heed cancellation, as Asio's operations do. Attempts run on a strand of the policy's
/// scheduler, or of the handler's executor. Cancellation (any type) of the operation cancels the attempt,
/// which the balancer takes as no sign, and completes with errc::cancelled.
/// Name function and policy before the co_await expression: g++ 12 destroys temporaries inside one twice.
template <class Function, class Token>
auto async_execute(load_balancer& balancer, Function&& function, const execute_policy& policy,
                   Token&& token) {
    using callable = std::decay_t<Function>;
    static_assert(detail::is_awaitable<std::invoke_result_t<callable&, attempt&>>,
                  "levee: async_execute runs coroutines, functions that return boost::asio::awaitable<T>");
    using value = typename detail::awaited<std::invoke_result_t<callable&, attempt&>>::type;
    using signature = typename detail::completion<value>::signature;
    using operation = detail::execute_operation<value, callable>;
    using returned = decltype(boost::asio::async_initiate<Token, signature>(
        std::declval<operation>(), token, std::declval<callable>(), policy));
    static_assert(std::is_lvalue_reference_v<Function&&> || std::is_trivially_destructible_v<callable> ||
                      !detail::is_awaited_result<returned>,
                  "levee: name this function first (auto ask = [...]...;) and pass the name: g++ 12 destroys "
                  "temporaries inside co_await expressions twice");
    return boost::asio::async_initiate<Token, signature>(
        operation{&balancer}, token, callable(std::forward<Function>(function)), execute_policy(policy));
}
template <class Function, class Token>
auto async_execute(load_balancer& balancer, Function&& function, const execute_policy&& policy,
                   Token&& token) = delete;
template <class Function, class Token>
    requires(!std::is_same_v<std::remove_cvref_t<Token>, execute_policy>)
auto async_execute(load_balancer& balancer, Function&& function, Token&& token) {
    const execute_policy policy;
    return async_execute(balancer, std::forward<Function>(function), policy, std::forward<Token>(token));
}

}  // namespace levee::route

namespace levee {
using route::async_execute;
using route::execute;
}  // namespace levee
