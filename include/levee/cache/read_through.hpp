/// Read-through: a cache bound to its system of record.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/cache.hpp"
#include "levee/store/source.hpp"

namespace levee {

/// A `cache` that knows where its values come from: `get` loads what is missing, once for all who ask.
///
/// Thread safety, loads, cancellation and destruction are as in `cache`. A source that blocks is asked on
/// the calling thread, and on `blocking_executor` for asynchronous callers; one made of coroutines on
/// `executor`, or without one on the calling thread. A caller on whose thread the source works is kept until
/// it answers; all others return at once when they are cancelled or time out.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class read_through {
    using core = cache_detail::cache_core<K, V, Hash, Eq>;

public:
    using key_type = K;
    using mapped_type = V;

    /// Errors: std::invalid_argument for options out of range, or without a source.
    read_through(std::shared_ptr<source<K, V>> from, cache_options<K, V> options)
        : cache_(std::move(options)), source_(std::move(from)) {
        if (source_ == nullptr) {
            throw std::invalid_argument("read_through: the source is null; it must be one");
        }
    }

    /// The value, from the cache or else from the source; empty: the source has no such key.
    ///
    /// Blocks: on a miss until the source answered or `load_timeout` passes. Errors: the source's, which
    /// are not cached; errc::timeout, errc::closed, errc::recursive_load, errc::would_deadlock, as
    /// `cache::get_or_load`. Cost: a hit is a `cache::get`.
    [[nodiscard]] std::optional<V> get(const K& key) { return load(key, false); }

    /// Asks the source although a value may be cached, which serves others until then, and returns its
    /// answer. A load that is under way is joined.
    std::optional<V> refresh(const K& key) { return load(key, true); }

    /// `get` of many keys: the source is asked once for all that have to be loaded. One value, or none, for
    /// each key, in their order. See `cache::get_or_load_many`.
    [[nodiscard]] std::vector<std::optional<V>> get_many(std::vector<K> keys) {
        const auto& shared = cache_.core_;
        const auto call = std::make_shared<cache_detail::bulk_call<core>>(
            shared, std::move(keys), shared->options().defaults,
            std::make_shared<cache_detail::bulk_source<K, V>>(source_), blocking_kind());
        return call->run();
    }

    /// The same as an asynchronous operation, `void(std::exception_ptr, std::vector<std::optional<V>>)`.
    template <class Token>
    auto async_get_many(std::vector<K> keys, Token&& token) {
        using operation = cache_detail::async_bulk_operation<core>;
        const cache_detail::loader_kind kind{.is_coroutine = !source_->is_blocking(), .is_detachable = true};
        std::shared_ptr<cache_detail::bulk_loader<K, V>> loader =
            std::make_shared<cache_detail::bulk_source<K, V>>(source_);
        return boost::asio::async_initiate<Token, cache_detail::bulk_signature<V>>(
            operation{cache_.core_, cache_.core_->options().defaults, kind}, token, std::move(keys),
            std::move(loader));
    }

    /// `get` as an asynchronous operation, `void(std::exception_ptr, std::optional<V>)`.
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get(Key&& key, Token&& token) {
        using operation = cache_detail::async_source_operation<core, K, V>;
        using result =
            decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return cache_detail::initiate<V>(operation{cache_.core_, source_}, token, K(std::forward<Key>(key)));
    }

    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_refresh(Key&& key, Token&& token) {
        using operation = cache_detail::async_source_operation<core, K, V>;
        using result =
            decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return cache_detail::initiate<V>(operation{cache_.core_, source_, true}, token,
                                         K(std::forward<Key>(key)));
    }

    /// From the cache alone: never loads. See `cache`.
    [[nodiscard]] std::optional<V> try_get(const K& key) { return cache_.try_get(key); }
    [[nodiscard]] lookup_result<V> lookup(const K& key) { return cache_.lookup(key); }

    /// Drops the key: the next `get` asks the source, and a load under way is not stored (G1).
    reach invalidate(const K& key) { return cache_.invalidate(key); }
    template <class Token>
    auto async_invalidate(K key, Token&& token) {
        return cache_.async_invalidate(std::move(key), std::forward<Token>(token));
    }

    /// The rest of what a cache can do: `expire`, tags, prefixes, `clear`.
    [[nodiscard]] cache<K, V, Hash, Eq>& underlying() noexcept { return cache_; }
    reach clear() { return cache_.clear(); }

    [[nodiscard]] cache_statistics stats() const { return cache_.stats(); }
    [[nodiscard]] std::size_t estimated_size() const { return cache_.estimated_size(); }
    [[nodiscard]] std::size_t estimated_weight() const { return cache_.estimated_weight(); }
    void run_pending_work() { cache_.run_pending_work(); }
    [[nodiscard]] const std::string& name() const noexcept { return cache_.name(); }

private:
    /// For blocking callers: on an executor when there is one, so that the timeout can end it; else on this
    /// thread.
    [[nodiscard]] cache_detail::loader_kind blocking_kind() const {
        const auto& options = cache_.core_->options();
        const bool on_executor = !source_->is_blocking() && options.executor;
        const bool in_background = on_executor || options.blocking_executor;
        return {.is_coroutine = on_executor, .is_detachable = in_background};
    }

    std::optional<V> load(const K& key, bool is_forced) {
        const auto shared = cache_.core_;
        cache_detail::found<V> it;
        shared->look(key, shared->options().defaults, it);
        if (it.state == cache_detail::freshness::fresh && it.is_known && !is_forced) [[likely]] {
            return std::move(it.value);
        }
        const cache_detail::loader_kind kind = blocking_kind();
        cache_detail::source_flight_maker<core, K, V> make(*shared, key, source_,
                                                           cache_detail::replacing(it, is_forced));
        const bool may_wait = !async::runs_on_this_thread(shared->options().executor);
        if (!is_forced && cache_detail::answers_now(shared, key, kind, make, it, may_wait)) {
            return std::move(it.value);
        }
        return cache_detail::load_blocking(shared, key, kind, make, it);
    }

    cache<K, V, Hash, Eq> cache_;
    std::shared_ptr<source<K, V>> source_;
};

}  // namespace levee
