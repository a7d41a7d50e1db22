/// Read-through: a cache bound to its system of record.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

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
    std::optional<V> load(const K& key, bool is_forced) {
        const auto shared = cache_.core_;
        cache_detail::found<V> it;
        shared->look(key, shared->options().defaults, it);
        if (it.state == cache_detail::freshness::fresh && it.is_known && !is_forced) [[likely]] {
            return std::move(it.value);
        }
        // On an executor when there is one, so that the timeout can end it; else on this thread.
        const bool on_executor = !source_->is_blocking() && shared->options().executor;
        const bool in_background = on_executor || shared->options().blocking_executor;
        const cache_detail::loader_kind kind{.is_coroutine = on_executor, .is_detachable = in_background};
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
