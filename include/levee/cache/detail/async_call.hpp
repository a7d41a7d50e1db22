/// From a completion token to a joined flight: what the asynchronous operations of caches are made of.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/cache/detail/load.hpp"

namespace levee::cache_detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class V>
using completion_signature = void(std::exception_ptr, std::optional<V>);

/// What an initiating function returns when it is meant to be awaited.
template <class T>
inline constexpr bool is_awaited_result = false;
template <class T, class Executor>
inline constexpr bool is_awaited_result<boost::asio::awaitable<T, Executor>> = true;
template <class... Ts>
inline constexpr bool is_awaited_result<boost::asio::deferred_async_operation<Ts...>> = true;

/// g++ 12 destroys temporaries of closure and aggregate type inside a co_await expression twice. Harmless
/// where destruction does nothing; refused where it does. `Result`: what the initiating function returns.
template <class Argument, class Result>
inline constexpr bool survives_co_await =
    std::is_lvalue_reference_v<Argument&&> ||
    std::is_trivially_destructible_v<std::remove_reference_t<Argument>> || !is_awaited_result<Result>;

template <class Loader, class Result>
constexpr void check_loader_argument() {
    static_assert(survives_co_await<Loader, Result>,
                  "levee: name this loader first (auto load = [...]...;) and pass the name: g++ 12 destroys "
                  "temporaries inside co_await expressions twice");
}

template <class Key, class Result>
constexpr void check_key_argument() {
    static_assert(
        !std::is_aggregate_v<std::remove_cvref_t<Key>> || survives_co_await<Key, Result>,
        "levee: name this key first (my_key key{...};) and pass the name: g++ 12 destroys aggregates "
        "made inside co_await expressions twice");
}

template <class V, class Operation, class Token, class... Arguments>
decltype(auto) initiate(Operation&& operation, Token& token, Arguments&&... arguments) {
    return boost::asio::async_initiate<Token, completion_signature<V>>(
        std::forward<Operation>(operation), token, std::forward<Arguments>(arguments)...);
}

template <class K, class V, class Loader>
constexpr loader_kind kind_of() {
    using traits = loader_traits<K, V, Loader>;
    return {.is_coroutine = traits::is_coroutine, .is_detachable = traits::is_detachable};
}

/// Makes the flight for a caller's loader, should one be needed. `Loader` is as deduced, so rvalues are moved
/// from. A flight made in vain, because another was found, is kept for the next try.
template <class Core, class K, class V, class Loader>
class flight_maker {
    using function = std::decay_t<Loader>;

public:
    /// `replacing`: the serial of a usable entry that is to be loaded anew, or 0.
    flight_maker(Core& core, const K& key, std::remove_reference_t<Loader>& loader,
                 const entry_options& options, std::uint64_t replacing, bool is_nested)
        : core_(core),
          key_(key),
          loader_(loader),
          options_(options),
          replacing_(replacing),
          is_nested_(is_nested) {}

    std::shared_ptr<load_flight<K, V>> operator()() {
        if (made_ == nullptr) {
            validate(options_);
            made_ = std::make_shared<loader_flight<K, V, function>>(
                key_, static_cast<Loader&&>(loader_), core_.set_up(key_, options_, replacing_, is_nested_));
        }
        return made_;
    }

private:
    Core& core_;
    const K& key_;
    std::remove_reference_t<Loader>& loader_;
    const entry_options& options_;
    const std::uint64_t replacing_;
    const bool is_nested_;
    std::shared_ptr<load_flight<K, V>> made_;
};

/// Makes the flight for a bound source, should one be needed.
template <class Core, class K, class V>
class source_flight_maker {
public:
    source_flight_maker(Core& core, const K& key, const std::shared_ptr<source<K, V>>& from,
                        std::uint64_t replacing)
        : core_(core), key_(key), from_(from), replacing_(replacing) {}

    std::shared_ptr<load_flight<K, V>> operator()() const {
        return std::make_shared<source_flight<K, V>>(
            key_, from_,
            core_.set_up(key_, core_.options().defaults, replacing_, flight::current() != nullptr));
    }

private:
    Core& core_;
    const K& key_;
    const std::shared_ptr<source<K, V>>& from_;
    const std::uint64_t replacing_;
};

/// The serial that says "load anew" to a flight; ~0 where nothing is held.
template <class V>
[[nodiscard]] std::uint64_t replacing(const found<V>& it, bool is_forced) noexcept {
    if (is_forced) {
        return it.serial != 0 ? it.serial : ~std::uint64_t{0};
    }
    return it.is_hit() ? it.serial : 0;
}

/// L1, then the remote level; nothing is loaded.
template <class Core, class K, class V>
[[nodiscard]] boost::asio::awaitable<std::optional<V>> async_look_remotely(std::shared_ptr<Core> core,
                                                                           K key) {
    auto look = core->begin_look(key);
    std::string name = core->name_of(key);
    auto answer = co_await core->remote()->async_get(std::move(name));
    if (!answer) {
        answer.emplace();
    }
    auto result = core->end_look(key, std::move(look), *answer);
    co_return result.state == entry_state::fresh ? std::move(result.value) : std::optional<V>();
}

/// Whether a look-up goes on in the remote level after L1 gave `local`.
template <class Core, class V>
[[nodiscard]] bool asks_further(const Core& core, const lookup_result<V>& local) {
    return local.state != entry_state::fresh && local.state != entry_state::negative &&
           core.remote() != nullptr && core.remote()->has_store();
}

template <class V>
[[nodiscard]] lookup_result<V> better_of(lookup_result<V> local, lookup_result<V> there) {
    const bool is_sure = there.state == entry_state::fresh || there.state == entry_state::negative;
    return is_sure || local.state == entry_state::miss ? std::move(there) : std::move(local);
}

template <class Core, class K, class V>
struct async_lookup_operation {
    std::shared_ptr<Core> core;

    template <class Handler>
    void operator()(Handler&& handler, K key) const {
        auto local = core->lookup(key);
        if (asks_further(*core, local)) {
            boost::asio::co_spawn(core->options().executor, ask(core, std::move(key), std::move(local)),
                                  std::forward<Handler>(handler));
            return;
        }
        auto executor = boost::asio::get_associated_executor(handler);
        boost::asio::post(executor, [local = std::move(local), h = std::forward<Handler>(handler)]() mutable {
            std::move(h)(std::exception_ptr(), std::move(local));
        });
    }

private:
    static boost::asio::awaitable<lookup_result<V>> ask(std::shared_ptr<Core> core, K key,
                                                        lookup_result<V> local) {
        auto look = core->begin_look(key);
        std::string name = core->name_of(key);
        auto answer = co_await core->remote()->async_get(std::move(name));
        if (!answer) {
            answer.emplace();
        }
        co_return better_of(std::move(local), core->end_look(key, std::move(look), *answer));
    }
};

template <class Core, class K, class V>
struct async_get_operation {
    std::shared_ptr<Core> core;

    template <class Handler>
    void operator()(Handler&& handler, K key) const {
        std::optional<V> value;
        if (!core->find(key, value) && core->remote() != nullptr && core->remote()->has_store()) {
            boost::asio::co_spawn(core->options().executor,
                                  async_look_remotely<Core, K, V>(core, std::move(key)),
                                  std::forward<Handler>(handler));
            return;
        }
        post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(value));
    }
};

template <class Core, class K, class V, class Loader>
struct async_load_operation {
    std::shared_ptr<Core> core;
    entry_options options;
    std::shared_ptr<flight> asking;
    bool is_forced = false;

    template <class Handler>
    void operator()(Handler&& handler, K key, Loader loader) const {
        found<V> it;
        core->look(key, options, it);
        if (it.state == freshness::fresh && it.is_known && !is_forced) {
            post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(it.value));
            return;
        }
        constexpr auto kind = kind_of<K, V, Loader>();
        flight_maker<Core, K, V, Loader> make(*core, key, loader, options, replacing(it, is_forced),
                                              asking != nullptr);
        if (!is_forced && answers_now(core, key, kind, make, it, true)) {
            post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(it.value));
            return;
        }
        load_on_executors<Core, V>(core, key, kind, asking, make, std::move(it),
                                   std::forward<Handler>(handler));
    }
};

template <class Core, class K, class V>
struct async_source_operation {
    std::shared_ptr<Core> core;
    std::shared_ptr<source<K, V>> from;
    bool is_forced = false;

    template <class Handler>
    void operator()(Handler&& handler, K key) const {
        found<V> it;
        core->look(key, core->options().defaults, it);
        if (it.state == freshness::fresh && it.is_known && !is_forced) {
            post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(it.value));
            return;
        }
        const loader_kind kind{.is_coroutine = !from->is_blocking(), .is_detachable = true};
        source_flight_maker<Core, K, V> make(*core, key, from, replacing(it, is_forced));
        if (!is_forced && answers_now(core, key, kind, make, it, true)) {
            post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(it.value));
            return;
        }
        load_on_executors<Core, V>(core, key, kind, nullptr, make, std::move(it),
                                   std::forward<Handler>(handler));
    }
};

}  // namespace levee::cache_detail
