/// The cache: cache-aside for threads and coroutines, one load per key however many ask for it.
#pragma once

#include <boost/asio/async_result.hpp>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "levee/cache/cache_options.hpp"
#include "levee/cache/detail/async_call.hpp"
#include "levee/cache/detail/load.hpp"
#include "levee/cache/load_context.hpp"
#include "levee/cache/lookup.hpp"
#include "levee/core/hash.hpp"
#include "levee/local/cache_stats.hpp"

namespace levee {

/// A cache in front of whatever is slow: the caller brings the loader (cache-aside). `read_through` binds
/// one instead.
///
///     levee::cache<std::string, product> products({.local = {.max_entries = 100'000}});
///     auto p = products.get_or_load("42", [&](const std::string& id) { return db.find(id); });
///
/// *Loaders* are called as `loader(const K&)` or `loader(const K&, load_context&)` and return V,
/// std::optional<V> (empty: the key does not exist, which is remembered for `negative_ttl`), loaded<V>, or
/// a boost::asio::awaitable of one of these. What they throw reaches every caller that waits, is not
/// cached, and the next call loads again. A plain loader runs on the thread of the blocking caller that
/// came first, or on `blocking_executor` if that was an asynchronous one; a coroutine runs on `executor`.
/// Unless it is `detachable`, it has ended when the call that brought it returns, so `[&]` is safe.
///
/// *Asynchronous forms* take any Asio completion token for `void(std::exception_ptr, std::optional<V>)` and
/// complete on the handler's executor. Cancellation (any type) ends the wait with errc::cancelled; the load
/// goes on for those who still wait and is cancelled when nobody does. Executors must outlive the operations
/// begun on them, or the cache be destroyed first.
///
/// *Invalidation wins*: after `invalidate`, `put` or `clear` returned, no later call gets a value whose
/// load began before (G1). Callers that were already waiting get what they waited for.
///
/// Thread safety: distinct objects: safe; shared objects: safe. Destruction: callers that wait get
/// errc::closed; loads that still run finish without touching the cache.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class cache {
    static_assert(
        !cache_detail::is_optional<V>,
        "levee: cache<K, V> says std::optional<V> for 'not there', so V cannot be an optional itself");
    static_assert(
        std::is_copy_constructible_v<V>,
        "levee: values are returned by copy; store std::shared_ptr<const T> for what cannot be copied");

    using core = cache_detail::cache_core<K, V, Hash, Eq>;

public:
    using key_type = K;
    using mapped_type = V;

    /// Errors: std::invalid_argument naming the option that is out of range.
    explicit cache(cache_options<K, V> options) : core_(std::make_shared<core>(std::move(options))) {}
    ~cache() { core_->close(); }
    cache(const cache&) = delete;
    cache& operator=(const cache&) = delete;

    /// The cached value; empty: nothing usable is cached, or the key is known not to exist.
    ///
    /// Blocks: no (there is no remote level yet). Cost: one L1 hit and the copy of V.
    [[nodiscard]] std::optional<V> get(const K& key) {
        std::optional<V> value;
        static_cast<void>(core_->find(key, value));
        return value;
    }

    /// As `get`, from L1 only: never waits, never suspends. The form for coroutines' hot paths.
    [[nodiscard]] std::optional<V> try_get(const K& key) { return get(key); }

    /// What L1 knows about the key, with the value's state and age. Counts as a look-up; never waits.
    [[nodiscard]] lookup_result<V> lookup(const K& key) {
        lookup_result<V> result;
        core_->local().visit(key, [&](const cache_detail::entry<V>& held) {
            result.state = held.value ? entry_state::fresh : entry_state::negative;
            result.value = held.value;
            result.level = cache_level::local;
            result.age = core_->now() - held.stored_at;
        });
        return result;
    }

    /// Returns the cached value, or loads it once on behalf of every concurrent caller. Empty: the key is
    /// known not to exist.
    ///
    /// Blocks: until the load for this key ends or `load_timeout` passes, never holding a lock, so the
    /// loader may use other keys of this cache. A caller whose own loader runs (it came first) is kept
    /// until that has ended. Errors: whatever the loader threw (not cached); errc::timeout, errc::closed;
    /// errc::recursive_load if the loader asks for a key that waits for this one, on its own thread;
    /// errc::would_deadlock on a miss on a thread that runs the cache's `executor`.
    /// Cost: a hit is a `get`.
    template <class Loader>
    [[nodiscard]] std::optional<V> get_or_load(const K& key, Loader&& loader) {
        return get_or_load(key, std::forward<Loader>(loader), core_->options().defaults);
    }

    /// With lives and timeout of this call's own. The leading caller's options count.
    template <class Loader>
    [[nodiscard]] std::optional<V> get_or_load(const K& key, Loader&& loader, const entry_options& options) {
        std::optional<V> value;
        if (!core_->find(key, value)) {
            const auto shared = core_;  // this cache may be destroyed while we wait
            const auto kind = cache_detail::kind_of<K, V, std::decay_t<Loader>>();
            value = cache_detail::load_blocking<core, K, V>(
                shared, key, kind,
                cache_detail::flight_maker<core, K, V, Loader>(*shared, key, loader, options));
        }
        return value;
    }

    /// `get` as an asynchronous operation: completes without a load.
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get(Key&& key, Token&& token) {
        using operation = cache_detail::async_get_operation<core, K, V>;
        using result =
            decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return cache_detail::initiate<V>(operation{core_}, token, K(std::forward<Key>(key)));
    }

    /// `get_or_load` as an asynchronous operation; joins the same loads.
    ///
    ///     auto load = [&](std::string id) -> asio::awaitable<std::optional<product>> { ... };
    ///     auto p = co_await products.async_get_or_load("42", load, asio::use_awaitable);
    ///
    /// Name loaders and options before the co_await expression: g++ 12 destroys temporaries inside one
    /// twice, so those that would be hurt do not compile. Errors: as `get_or_load`, and errc::cancelled.
    template <class Key = K, class Loader, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get_or_load(Key&& key, Loader&& loader, Token&& token) {
        return start_load(std::forward<Key>(key), std::forward<Loader>(loader), core_->options().defaults,
                          nullptr, token);
    }

    /// With lives and timeout of this call's own. The leading caller's options count.
    template <class Key = K, class Loader, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get_or_load(Key&& key, Loader&& loader, const entry_options& options, Token&& token) {
        return start_load(std::forward<Key>(key), std::forward<Loader>(loader), options, nullptr, token);
    }
    template <class Key = K, class Loader, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get_or_load(Key&& key, Loader&& loader, const entry_options&& options, Token&& token) = delete;

    /// From inside a coroutine loader, with the context it was given: loads that wait for each other in a
    /// circle then end with errc::recursive_load.
    template <class Key = K, class Loader, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get_or_load(Key&& key, Loader&& loader, load_context& asking, Token&& token) {
        return start_load(std::forward<Key>(key), std::forward<Loader>(loader), core_->options().defaults,
                          asking.serving().shared_from_this(), token);
    }

    /// Stores a value, replacing what is there and overruling a load that is under way.
    void put(K key, V value) { put(std::move(key), std::move(value), core_->options().defaults); }
    void put(K key, V value, const entry_options& options) {
        cache_detail::validate(options);
        core_->put(std::move(key), std::move(value), options);
    }

    /// Drops the key, so that no later call gets a value whose load began before (G1).
    reach invalidate(const K& key) {
        core_->invalidate(key);
        return reach::acknowledged;
    }

    /// Drops every key, with the same promise.
    void clear() { core_->clear(); }

    /// Hits and misses are L1's; `joined` counts callers from the moment they wait for another's load.
    [[nodiscard]] cache_stats stats() const { return core_->stats(); }

    /// Entries held, keys known not to exist included. See local_cache::estimated_size.
    [[nodiscard]] std::size_t estimated_size() const { return core_->local().estimated_size(); }
    [[nodiscard]] std::size_t estimated_weight() const { return core_->local().estimated_weight(); }

    /// Removes what has expired. Optional: it would be removed when touched or when room is needed.
    void run_pending_work() { core_->local().run_pending_work(); }

    [[nodiscard]] const std::string& name() const noexcept { return core_->options().name; }

private:
    template <class, class, class, class>
    friend class read_through;

    template <class Key, class Loader, class Token>
    auto start_load(Key&& key, Loader&& loader, const entry_options& options,
                    std::shared_ptr<cache_detail::flight> asking, Token& token) {
        using function = std::decay_t<Loader>;
        using operation = cache_detail::async_load_operation<core, K, V, function>;
        using result = decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>(),
                                                          std::declval<function>()));
        cache_detail::check_key_argument<Key, result>();
        cache_detail::check_loader_argument<Loader, result>();
        return cache_detail::initiate<V>(operation{core_, options, std::move(asking)}, token,
                                         K(std::forward<Key>(key)), function(std::forward<Loader>(loader)));
    }

    std::shared_ptr<core> core_;
};

}  // namespace levee
