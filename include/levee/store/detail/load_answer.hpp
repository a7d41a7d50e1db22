/// The answers that a loading function may give, and how they are read.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/store/source.hpp"

namespace levee::store_detail {

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

/// V, std::optional<V> or loaded<V>: what a loader may answer, directly or awaited.
template <class Answer, class V>
concept load_answer = std::is_same_v<Answer, loaded<V>> || std::is_same_v<Answer, std::optional<V>> ||
                      std::is_convertible_v<Answer, V>;

template <class V, load_answer<V> Answer>
loaded<V> as_loaded(Answer&& answer) {
    using plain = std::remove_cvref_t<Answer>;
    if constexpr (std::is_same_v<plain, loaded<V>>) {
        return std::forward<Answer>(answer);
    } else if constexpr (std::is_same_v<plain, std::optional<V>>) {
        return answer.has_value() ? loaded<V>::found(*std::forward<Answer>(answer)) : loaded<V>::missing();
    } else {
        return loaded<V>::found(std::forward<Answer>(answer));
    }
}

}  // namespace levee::store_detail
