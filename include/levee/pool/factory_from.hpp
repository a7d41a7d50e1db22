/// Connection factories made of functions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/pool/connection_factory.hpp"

namespace levee {
namespace pool_detail {

/// Stands where a factory has no such function.
struct absent {};

template <class T>
struct awaited {
    static constexpr bool is_awaitable = false;
    using type = T;
};
template <class T, class Executor>
struct awaited<boost::asio::awaitable<T, Executor>> {
    static constexpr bool is_awaitable = true;
    using type = T;
};

template <class T>
struct pointee {
    using type = T;
};
template <class T>
struct pointee<std::unique_ptr<T>> {
    using type = T;
};
/// With a deleter of its own the pointer is the resource: std::unique_ptr<FILE, closer>.
template <class T, class Deleter>
struct pointee<std::unique_ptr<T, Deleter>> {
    using type = std::unique_ptr<T, Deleter>;
};

template <class Connect>
using connect_answer = awaited<std::invoke_result_t<Connect&>>;
template <class Connect>
using connection_of = typename pointee<typename connect_answer<Connect>::type>::type;

template <class C, class Answer>
std::unique_ptr<C> as_pointer(Answer&& answer) {
    if constexpr (std::is_same_v<std::remove_cvref_t<Answer>, std::unique_ptr<C>>) {
        return std::forward<Answer>(answer);
    } else {
        return std::make_unique<C>(std::forward<Answer>(answer));
    }
}

template <class C, class Function, class Wanted>
constexpr bool check_function(bool is_async) {
    if constexpr (std::is_same_v<Function, absent>) {
        return true;
    } else {
        using answer = awaited<std::invoke_result_t<Function&, C&>>;
        static_assert(std::is_convertible_v<typename answer::type, Wanted> || std::is_void_v<Wanted>,
                      "levee: is_valid(C&) returns bool or an awaitable of it");
        return answer::is_awaitable == is_async;
    }
}

/// Over plain functions, which may block.
template <class C, class Connect, class IsValid, class Reset>
class plain_functions final : public blocking_connection_factory<C> {
public:
    plain_functions(Connect connect, IsValid is_valid, Reset reset)
        : connect_(std::move(connect)), is_valid_(std::move(is_valid)), reset_(std::move(reset)) {}

    [[nodiscard]] std::unique_ptr<C> connect() override { return as_pointer<C>(connect_()); }
    [[nodiscard]] bool is_valid([[maybe_unused]] C& connection) override {
        if constexpr (std::is_same_v<IsValid, absent>) {
            return true;
        } else {
            return is_valid_(connection);
        }
    }
    void reset([[maybe_unused]] C& connection) override {
        if constexpr (!std::is_same_v<Reset, absent>) {
            reset_(connection);
        }
    }
    [[nodiscard]] bool needs_reset(const C& /*connection*/) const noexcept override {
        return !std::is_same_v<Reset, absent>;
    }

private:
    Connect connect_;
    IsValid is_valid_;
    Reset reset_;
};

/// Over coroutines.
template <class C, class Connect, class IsValid, class Reset>
class coroutine_functions final : public connection_factory<C> {
public:
    coroutine_functions(Connect connect, IsValid is_valid, Reset reset)
        : connect_(std::move(connect)), is_valid_(std::move(is_valid)), reset_(std::move(reset)) {}

    [[nodiscard]] boost::asio::awaitable<std::unique_ptr<C>> async_connect() override {
        auto made = co_await connect_();
        co_return as_pointer<C>(std::move(made));
    }
    [[nodiscard]] boost::asio::awaitable<bool> async_is_valid([[maybe_unused]] C& connection) override {
        if constexpr (std::is_same_v<IsValid, absent>) {
            co_return true;
        } else {
            co_return co_await is_valid_(connection);
        }
    }
    [[nodiscard]] boost::asio::awaitable<void> async_reset([[maybe_unused]] C& connection) override {
        if constexpr (!std::is_same_v<Reset, absent>) {
            co_await reset_(connection);
        }
        co_return;
    }
    [[nodiscard]] bool needs_reset(const C& /*connection*/) const noexcept override {
        return !std::is_same_v<Reset, absent>;
    }

private:
    Connect connect_;
    IsValid is_valid_;
    Reset reset_;
};

}  // namespace pool_detail

/// A factory over `connect()`, which returns C or std::unique_ptr<C>; `is_valid(C&)`, which returns whether
/// the connection works; and `reset(C&)`, which cleans a returned one. The latter two may be left out. All
/// are plain functions, which may block and run on the pool's `blocking_executor`, or all are coroutines.
///
///     auto files = levee::factory_from([] { return file_ptr(std::fopen("log", "rb")); });
///
/// The functions are called from any thread, concurrently. What they throw is a failure of that connection.
template <class Connect, class IsValid = pool_detail::absent, class Reset = pool_detail::absent>
[[nodiscard]] auto factory_from(Connect connect, IsValid is_valid = {}, Reset reset = {}) {
    using C = pool_detail::connection_of<Connect>;
    constexpr bool is_async = pool_detail::connect_answer<Connect>::is_awaitable;
    static_assert(pool_detail::check_function<C, IsValid, bool>(is_async) &&
                      pool_detail::check_function<C, Reset, void>(is_async),
                  "levee: the functions of one factory are all plain or all coroutines");
    using made = std::conditional_t<is_async, pool_detail::coroutine_functions<C, Connect, IsValid, Reset>,
                                    pool_detail::plain_functions<C, Connect, IsValid, Reset>>;
    return std::shared_ptr<connection_factory<C>>(
        std::make_shared<made>(std::move(connect), std::move(is_valid), std::move(reset)));
}

}  // namespace levee
