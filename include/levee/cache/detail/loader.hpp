/// What may stand where a loader is asked for, and how its answer is read.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "levee/cache/load_context.hpp"
#include "levee/core/error.hpp"
#include "levee/store/detail/load_answer.hpp"
#include "levee/store/source.hpp"

namespace levee::cache_detail {

template <class T>
struct unwrapped {
    static constexpr bool is_detachable = false;
    using type = T;
};
template <class T>
struct unwrapped<detachable_loader<T>> {
    static constexpr bool is_detachable = true;
    using type = T;
};

/// The user's function itself.
template <class L>
decltype(auto) unwrap(L&& loader) noexcept {
    if constexpr (unwrapped<std::decay_t<L>>::is_detachable) {
        return (std::forward<L>(loader).loader);
    } else {
        return std::forward<L>(loader);
    }
}

/// What is known of a loader's type: `Loader` is as the user gave it, decayed.
template <class K, class V, class Loader>
struct loader_traits {
    using function = typename unwrapped<Loader>::type;
    static constexpr bool is_detachable = unwrapped<Loader>::is_detachable;
    static constexpr bool takes_context = std::is_invocable_v<function&, const K&, load_context&>;
    static_assert(takes_context || std::is_invocable_v<function&, const K&>,
                  "levee: a loader is called as loader(const K&) or loader(const K&, load_context&)");

    static auto call(function& f, const K& key, load_context& context) {
        if constexpr (takes_context) {
            return f(key, context);
        } else {
            return f(key);
        }
    }
    using raw_answer =
        decltype(call(std::declval<function&>(), std::declval<const K&>(), std::declval<load_context&>()));
    static constexpr bool is_coroutine = store_detail::awaited<raw_answer>::is_awaitable;
    using answer = typename store_detail::awaited<raw_answer>::type;
    static_assert(store_detail::load_answer<answer, V>,
                  "levee: a loader returns V, std::optional<V>, loaded<V>, or an awaitable of one of these");
};

/// The error of a load that did not bring a usable answer; null if it did.
template <class V>
std::exception_ptr failure_of(const loaded<V>& answer) {
    switch (answer.what) {
        case load_outcome::value:
            return answer.value ? nullptr
                                : std::make_exception_ptr(
                                      error(errc::invalid_data, "a load answered `value` without one"));
        case load_outcome::not_found:
            return nullptr;
        case load_outcome::not_modified:
            return std::make_exception_ptr(
                error(errc::invalid_data, "a load answered `not_modified` although nothing was held"));
        case load_outcome::failed:
            break;
    }
    return answer.error ? answer.error : std::make_exception_ptr(error(errc::load_failed));
}

}  // namespace levee::cache_detail
