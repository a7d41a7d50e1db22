// The two drivers of one command of a remote level.
#pragma once

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "cache/with_timeout.hpp"
#include "levee/cache/detail/remote_level.hpp"

namespace levee::cache_detail {

// A command that is not sent, fails or comes late has no answer.

template <class F>
auto remote_level::ask(F f) -> std::optional<decltype(f())> {
    auto permit = breaker_.try_acquire(setup_.time->now());
    if (!permit) {
        count(counters_->remote_refused);
        return std::nullopt;
    }
    try {
        std::optional<decltype(f())> answer(f());
        permit.record_success(setup_.time->now());
        return answer;
    } catch (...) {
        permit.record_failure(setup_.time->now());
        count(counters_->remote_failures);
        return std::nullopt;
    }
}

// `f` gives an awaitable that owns what it uses, as the functions of stores do, but for the store.
template <class T, class F>
boost::asio::awaitable<std::optional<T>> remote_level::async_ask(F f) {
    auto permit = breaker_.try_acquire(setup_.time->now());
    if (!permit) {
        count(counters_->remote_refused);
        co_return std::nullopt;
    }
    attempt_of<T> made;
    try {
        auto work = keeping(shared_from_this(), f());
        made = co_await with_timeout<T>(setup_.time, setup_.options.timeout, std::move(work));
    } catch (...) {
        made.error = std::current_exception();
    }
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (made.error == nullptr) {
        permit.record_success(setup_.time->now());
    } else if (state.cancelled() == boost::asio::cancellation_type::none) {
        permit.record_failure(setup_.time->now());
        count(counters_->remote_failures);
    }  // else the caller was cancelled, which says nothing about the store
    co_return std::move(made.value);
}

}  // namespace levee::cache_detail
