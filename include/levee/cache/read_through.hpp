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
    [[nodiscard]] std::optional<V> get(const K& key) {
        const auto shared = cache_.core_;
        std::optional<V> value;
        if (!shared->find(key, value)) {
            // On an executor when there is one, so that the timeout can end it; else on this thread.
            const bool on_executor = !source_->is_blocking() && shared->options().executor;
            value = cache_detail::load_blocking<core, K, V>(
                shared, key, {.is_coroutine = on_executor, .is_detachable = on_executor},
                cache_detail::source_flight_maker<core, K, V>(*shared, key, source_));
        }
        return value;
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

    /// From the cache alone: never loads, never waits.
    [[nodiscard]] std::optional<V> try_get(const K& key) { return cache_.try_get(key); }
    [[nodiscard]] lookup_result<V> lookup(const K& key) { return cache_.lookup(key); }

    /// Drops the key: the next `get` asks the source, and a load under way is not stored (G1).
    reach invalidate(const K& key) { return cache_.invalidate(key); }
    void clear() { cache_.clear(); }

    [[nodiscard]] cache_stats stats() const { return cache_.stats(); }
    [[nodiscard]] std::size_t estimated_size() const { return cache_.estimated_size(); }
    [[nodiscard]] std::size_t estimated_weight() const { return cache_.estimated_weight(); }
    void run_pending_work() { cache_.run_pending_work(); }
    [[nodiscard]] const std::string& name() const noexcept { return cache_.name(); }

private:
    cache<K, V, Hash, Eq> cache_;
    std::shared_ptr<source<K, V>> source_;
};

}  // namespace levee
