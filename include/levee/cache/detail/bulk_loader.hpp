/// What loads many keys in one call: a loader that a caller brought, or a bound source.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/detail/loader.hpp"
#include "levee/cache/load_context.hpp"
#include "levee/store/detail/load_answer.hpp"
#include "levee/store/source.hpp"

namespace levee::cache_detail {

/// One of its two functions serves, as `loader_kind` says.
template <class K, class V>
class bulk_loader {
public:
    using requests = std::vector<load_request<K, V>>;
    using answers = std::vector<loaded<V>>;

    virtual ~bulk_loader() = default;
    [[nodiscard]] virtual answers run(requests wanted, load_context& context) = 0;
    [[nodiscard]] virtual boost::asio::awaitable<answers> run_async(requests wanted,
                                                                    load_context& context) = 0;
};

template <class K, class V>
class bulk_source final : public bulk_loader<K, V> {
    using typename bulk_loader<K, V>::requests;
    using typename bulk_loader<K, V>::answers;

public:
    explicit bulk_source(std::shared_ptr<source<K, V>> from) : from_(std::move(from)) {}

    [[nodiscard]] answers run(requests wanted, load_context& /*context*/) override {
        return from_->load(std::move(wanted));
    }
    [[nodiscard]] boost::asio::awaitable<answers> run_async(requests wanted,
                                                            load_context& /*context*/) override {
        return from_->async_load(std::move(wanted));
    }

private:
    const std::shared_ptr<source<K, V>> from_;
};

template <class T, class V>
inline constexpr bool is_list_of_answers = false;
template <class T, class Allocator, class V>
inline constexpr bool is_list_of_answers<std::vector<T, Allocator>, V> = store_detail::load_answer<T, V>;

/// What is known of a bulk loader's type: `Loader` is as the user gave it, decayed.
template <class K, class V, class Loader>
struct bulk_loader_traits {
    using keys = std::vector<K>;
    using function = typename unwrapped<Loader>::type;
    static constexpr bool is_detachable = unwrapped<Loader>::is_detachable;
    static constexpr bool takes_context = std::is_invocable_v<function&, const keys&, load_context&>;
    static_assert(takes_context || std::is_invocable_v<function&, const keys&>,
                  "levee: a bulk loader is called as loader(const std::vector<K>&) or "
                  "loader(const std::vector<K>&, load_context&)");

    static auto call(function& f, const keys& wanted, load_context& context) {
        if constexpr (takes_context) {
            return f(wanted, context);
        } else {
            return f(wanted);
        }
    }
    using raw_answer =
        decltype(call(std::declval<function&>(), std::declval<const keys&>(), std::declval<load_context&>()));
    static constexpr bool is_coroutine = store_detail::awaited<raw_answer>::is_awaitable;
    using answer = typename store_detail::awaited<raw_answer>::type;

    static_assert(
        is_list_of_answers<answer, V>,
        "levee: a bulk loader returns a std::vector of V, std::optional<V> or loaded<V>, one for each "
        "key in the keys' order, or an awaitable of that");

    static std::vector<loaded<V>> as_answers(answer&& brought) {
        std::vector<loaded<V>> answers;
        answers.reserve(brought.size());
        for (auto&& each : brought) {
            using element = typename answer::value_type;
            answers.push_back(store_detail::as_loaded<V>(static_cast<element>(std::move(each))));
        }
        return answers;
    }
};

template <class K, class V, class Loader>
class bulk_function final : public bulk_loader<K, V> {
    using traits = bulk_loader_traits<K, V, Loader>;
    using typename bulk_loader<K, V>::requests;
    using typename bulk_loader<K, V>::answers;

public:
    template <class L>
    explicit bulk_function(L&& loader) : loader_(unwrap(std::forward<L>(loader))) {}

    [[nodiscard]] answers run([[maybe_unused]] requests wanted,
                              [[maybe_unused]] load_context& context) override {
        if constexpr (traits::is_coroutine) {
            throw error(errc::load_failed, "a coroutine loader was run as a plain one");
        } else {
            const std::vector<K> keys = keys_of(std::move(wanted));
            return traits::as_answers(traits::call(loader_, keys, context));
        }
    }

    [[nodiscard]] boost::asio::awaitable<answers> run_async(requests wanted, load_context& context) override {
        if constexpr (traits::is_coroutine) {
            const std::vector<K> keys = keys_of(std::move(wanted));
            auto brought = co_await traits::call(loader_, keys, context);
            co_return traits::as_answers(std::move(brought));
        } else {
            co_return run(std::move(wanted), context);
        }
    }

private:
    static std::vector<K> keys_of(requests wanted) {
        std::vector<K> keys;
        keys.reserve(wanted.size());
        for (auto& each : wanted) {
            keys.push_back(std::move(each.key));
        }
        return keys;
    }

    typename traits::function loader_;
};

}  // namespace levee::cache_detail
