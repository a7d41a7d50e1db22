/// The cache: cache-aside for threads and coroutines, one load per key however many ask for it.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/cache_options.hpp"
#include "levee/cache/cache_statistics.hpp"
#include "levee/cache/deferred_invalidations.hpp"
#include "levee/cache/detail/async_call.hpp"
#include "levee/cache/detail/bulk_call.hpp"
#include "levee/cache/detail/bulk_operations.hpp"
#include "levee/cache/detail/cache_writes.hpp"
#include "levee/cache/detail/load.hpp"
#include "levee/cache/load_context.hpp"
#include "levee/cache/lookup.hpp"
#include "levee/core/hash.hpp"

namespace levee {

/// A cache in front of whatever is slow: the caller brings the loader (cache-aside). `read_through` binds
/// one instead.
///
///     levee::cache<std::string, product> products({.local = {.max_entries = 100'000}});
///     auto p = products.get_or_load("42", [&](const std::string& id) { return db.find(id); });
///
/// *Levels*: L1 in this process; behind it, with `cache_options::remote`, L2, which processes share; with
/// `cache_options::backplane` the L1s of all processes hear of changes. Nothing that L2 fails becomes the
/// caller's: without it one load per process and key, `remote_options::max_concurrent_loads` at a time.
///
/// *Loaders* are called as `loader(const K&)` or `loader(const K&, load_context&)` and return V,
/// std::optional<V> (empty: the key does not exist, which is remembered for `negative_ttl`), loaded<V>, or
/// a boost::asio::awaitable of one of these. What they throw reaches every caller that waits, unless an
/// expired value may stand in (`stale_if_error`); it is not cached, and the next call loads again. A plain
/// loader runs on the thread of the blocking caller that came first, or on `blocking_executor` if that was an
/// asynchronous one; a coroutine runs on `executor`. Unless it is `detachable`, it has ended when the call
/// that brought it returns, so `[&]` is safe.
///
/// *Asynchronous forms* take any Asio completion token for `void(std::exception_ptr, T)` and complete on the
/// handler's executor. Cancellation (any type) ends the wait for a load with errc::cancelled; the load goes
/// on for those who still wait and is cancelled when nobody does. Executors must outlive the operations
/// begun on them, or the cache be destroyed first.
///
/// *Invalidation wins*: after `invalidate`, `put` or `clear` returned, no later call gets a value whose
/// load began before (G1). Callers that were already waiting get what they waited for. In other processes
/// L2 refuses what was loaded before (G2), and their L1s follow the backplane's message; what they may have
/// missed is not served as fresh (G3).
///
/// Thread safety: distinct objects: safe; shared objects: safe. Destruction: callers that wait get
/// errc::closed; loads that still run finish without touching the cache; what could not be told to L2 yet is
/// forgotten.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class cache {
    static_assert(
        !cache_detail::is_optional<V>,
        "levee: cache<K, V> says std::optional<V> for 'not there', so V cannot be an optional itself");
    static_assert(
        std::is_copy_constructible_v<V>,
        "levee: values are returned by copy; store std::shared_ptr<const T> for what cannot be copied");

    using core = cache_detail::cache_core<K, V, Hash, Eq>;
    using writes = cache_detail::cache_writes<core>;

public:
    using key_type = K;
    using mapped_type = V;

    /// Errors: std::invalid_argument naming the option that is out of range.
    explicit cache(cache_options<K, V> options) : core_(std::make_shared<core>(std::move(options))) {}
    ~cache() { core_->close(); }
    cache(const cache&) = delete;
    cache& operator=(const cache&) = delete;

    /// The cached value; empty: nothing fresh is cached, or the key is known not to exist.
    ///
    /// Blocks: for L2 if there is one and L1 does not answer. Cost: one L1 hit and the copy of V.
    [[nodiscard]] std::optional<V> get(const K& key) {
        std::optional<V> value;
        if (!core_->find(key, value) && core_->remote() != nullptr && core_->remote()->has_store()) {
            auto there = look_remotely(key);
            if (there.state == entry_state::fresh) {
                value = std::move(there.value);
            }
        }
        return value;
    }

    /// As `get`, from L1 only: never waits, never suspends. The form for coroutines' hot paths.
    [[nodiscard]] std::optional<V> try_get(const K& key) {
        std::optional<V> value;
        static_cast<void>(core_->find(key, value));
        return value;
    }

    /// What is known about the key, with the value's state and age. Counts as a look-up.
    ///
    /// Blocks: for L2 if there is one and L1 has nothing that can be trusted.
    [[nodiscard]] lookup_result<V> lookup(const K& key) {
        auto result = core_->lookup(key);
        if (cache_detail::asks_further(*core_, result)) {
            return cache_detail::better_of(std::move(result), look_remotely(key));
        }
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
        return load<Loader>(key, loader, options, false);
    }

    /// Loads the key anew although a value may be cached, which serves others until then, and returns what
    /// was loaded. A load that is under way is joined; one of another process is not repeated.
    template <class Loader>
    std::optional<V> refresh(const K& key, Loader&& loader) {
        return load<Loader>(key, loader, core_->options().defaults, true);
    }

    /// `get` of many keys: one value, or none, for each, in their order. A key may come more than once.
    ///
    /// Blocks: for L2, which is asked once for all that L1 does not have.
    [[nodiscard]] std::vector<std::optional<V>> get_many(std::vector<K> keys) {
        return cache_detail::find_many(*core_, std::move(keys));
    }

    /// `get_or_load` of many keys, with one call of the loader for all that have to be loaded. It is called
    /// as `loader(const std::vector<K>&)` or `loader(const std::vector<K>&, load_context&)` and returns a
    /// std::vector, one element for each key in their order, of what a loader of one key may return; or a
    /// boost::asio::awaitable of that.
    ///
    ///     auto all = products.get_or_load_many(ids, [&](const std::vector<std::string>& missing) {
    ///         return db.find_all(missing);  // std::vector<std::optional<product>>
    ///     });
    ///
    /// Each key is loaded once however many ask for it, in bulk or alone: those that others load already are
    /// waited for and not in the loader's call, which goes on without what another process loads. An
    /// invalidation meanwhile concerns its key alone.
    ///
    /// Blocks, errors: as `get_or_load`. When keys fail, the first one's error is thrown; the others' values
    /// are cached. errc::invalid_data: the loader returned another number of elements.
    /// Cost: L1's part is a `get` a key; L2 is asked once, then once for each key that is loaded.
    template <class Loader>
    [[nodiscard]] std::vector<std::optional<V>> get_or_load_many(std::vector<K> keys, Loader&& loader) {
        return get_or_load_many(std::move(keys), std::forward<Loader>(loader), core_->options().defaults);
    }

    /// With lives and timeout of this call's own.
    template <class Loader>
    [[nodiscard]] std::vector<std::optional<V>> get_or_load_many(std::vector<K> keys, Loader&& loader,
                                                                 const entry_options& options) {
        const auto call = std::make_shared<cache_detail::bulk_call<core>>(
            core_, std::move(keys), options, bulk_loader_of(std::forward<Loader>(loader)),
            cache_detail::bulk_kind_of<K, V, std::decay_t<Loader>>());
        return call->run();
    }

    /// `get` as an asynchronous operation: L1, then L2; nothing is loaded.
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get(Key&& key, Token&& token) {
        using operation = cache_detail::async_get_operation<core, K, V>;
        using result =
            decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return cache_detail::initiate<V>(operation{core_}, token, K(std::forward<Key>(key)));
    }

    /// `lookup` as an asynchronous operation, `void(std::exception_ptr, lookup_result<V>)`.
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_lookup(Key&& key, Token&& token) {
        using signature = void(std::exception_ptr, lookup_result<V>);
        using operation = cache_detail::async_lookup_operation<core, K, V>;
        using result = decltype(boost::asio::async_initiate<Token, signature>(std::declval<operation>(),
                                                                              token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return boost::asio::async_initiate<Token, signature>(operation{core_}, token,
                                                             K(std::forward<Key>(key)));
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

    /// `refresh` as an asynchronous operation.
    template <class Key = K, class Loader, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_refresh(Key&& key, Loader&& loader, Token&& token) {
        return start_load(std::forward<Key>(key), std::forward<Loader>(loader), core_->options().defaults,
                          nullptr, token, true);
    }

    /// The bulk forms as asynchronous operations, `void(std::exception_ptr, std::vector<std::optional<V>>)`.
    template <class Token>
    auto async_get_many(std::vector<K> keys, Token&& token) {
        return boost::asio::async_initiate<Token, cache_detail::bulk_signature<V>>(
            cache_detail::async_find_operation<core>{core_}, token, std::move(keys));
    }
    template <class Loader, class Token>
    auto async_get_or_load_many(std::vector<K> keys, Loader&& loader, Token&& token) {
        return start_bulk(std::move(keys), std::forward<Loader>(loader), core_->options().defaults, token);
    }
    template <class Loader, class Token>
    auto async_get_or_load_many(std::vector<K> keys, Loader&& loader, const entry_options& options,
                                Token&& token) {
        return start_bulk(std::move(keys), std::forward<Loader>(loader), options, token);
    }
    template <class Loader, class Token>
    auto async_get_or_load_many(std::vector<K> keys, Loader&& loader, const entry_options&& options,
                                Token&& token) = delete;

    // Writes. They go to L2 first, then to L1, then to the peers. `reach::queued`: L2 did not answer; it is
    // told until it does, and meanwhile not asked about the key. Blocks: for L2 and the backplane, if there
    // are any. The asynchronous forms need `executor`, complete with `void(std::exception_ptr, reach)`, and
    // go on when they are cancelled late.

    /// Stores a value, replacing what is there and overruling a load that is under way. Puts of two processes
    /// have no order of their own: see `put_if_newer`.
    reach put(K key, V value) { return put(std::move(key), std::move(value), core_->options().defaults); }
    reach put(K key, V value, const entry_options& options) {
        return writes::put(*core_, std::move(key), std::move(value), options);
    }
    template <class Token>
    auto async_put(K key, V value, Token&& token) {
        return spawn(
            [&] {
                return writes::async_put(core_, std::move(key), std::move(value), core_->options().defaults);
            },
            token);
    }
    template <class Token>
    auto async_put(K key, V value, const entry_options& options, Token&& token) {
        return spawn([&] { return writes::async_put(core_, std::move(key), std::move(value), options); },
                     token);
    }
    template <class Token>
    auto async_put(K key, V value, const entry_options&& options, Token&& token) = delete;

    /// Stores a value unless one of the same or a higher version is there, in L2 if there is one. False:
    /// there is, or L2 did not answer, and then the key is dropped. Errors: std::invalid_argument for
    /// version 0.
    bool put_if_newer(K key, V value, std::uint64_t version) {
        return put_if_newer(std::move(key), std::move(value), version, core_->options().defaults);
    }
    bool put_if_newer(K key, V value, std::uint64_t version, const entry_options& options) {
        return writes::put_if_newer(*core_, std::move(key), std::move(value), version, options);
    }
    /// Completes with `void(std::exception_ptr, bool)`.
    template <class Token>
    auto async_put_if_newer(K key, V value, std::uint64_t version, Token&& token) {
        return spawn(
            [&] {
                return writes::async_put_if_newer(core_, std::move(key), std::move(value), version,
                                                  core_->options().defaults);
            },
            token);
    }

    /// Drops the key, its reserve for errors included, so that no later call gets a value whose load began
    /// before (G1).
    reach invalidate(const K& key) { return writes::invalidate(*core_, key); }
    template <class Token>
    auto async_invalidate(K key, Token&& token) {
        return spawn([&] { return writes::async_invalidate(core_, std::move(key)); }, token);
    }

    /// As `invalidate`, but the value stays as a reserve for `stale_if_error`.
    reach expire(const K& key) { return writes::expire(*core_, key); }
    template <class Token>
    auto async_expire(K key, Token&& token) {
        return spawn([&] { return writes::async_expire(core_, std::move(key)); }, token);
    }

    /// Drops every value that carries the tag, in all processes, with the promise of `invalidate`. Cost: one
    /// number in L2, however many there are. Errors: errc::unavailable from an L2 without marks.
    reach invalidate_tag(std::string_view tag) {
        return writes::mark(*core_, cache_detail::mark_of_tag(tag));
    }
    template <class Token>
    auto async_invalidate_tag(std::string_view tag, Token&& token) {
        return spawn([&] { return writes::async_mark(core_, cache_detail::mark_of_tag(tag)); }, token);
    }

    /// Drops every key whose text begins with the prefix and a ':', as `category:7` does `category:7:42`;
    /// a ':' at its end is the same. Otherwise as `invalidate_tag`.
    reach invalidate_prefix(std::string_view prefix) {
        static_assert(key_encodable<K>, "levee: prefixes are of keys' texts: give K a levee::key_codec");
        return writes::mark(*core_, cache_detail::mark_of_prefix(prefix));
    }
    template <class Token>
    auto async_invalidate_prefix(std::string_view prefix, Token&& token) {
        static_assert(key_encodable<K>, "levee: prefixes are of keys' texts: give K a levee::key_codec");
        return spawn([&] { return writes::async_mark(core_, cache_detail::mark_of_prefix(prefix)); }, token);
    }

    /// Drops every key of this cache's name, in all processes, with the same promise and cost.
    reach clear() { return writes::mark(*core_, std::string()); }
    template <class Token>
    auto async_clear(Token&& token) {
        return spawn([&] { return writes::async_mark(core_, std::string()); }, token);
    }

    /// Collects invalidations that are to be published together, as when a transaction has been committed:
    /// see `deferred_invalidations`.
    [[nodiscard]] deferred_invalidations<K, V, Hash, Eq> defer() {
        return deferred_invalidations<K, V, Hash, Eq>(core_);
    }

    /// Hits and misses are L1's; `joined` counts callers from the moment they wait for another's load.
    [[nodiscard]] cache_statistics stats() const { return core_->stats(); }

    /// Entries held, keys known not to exist included. See local_cache::estimated_size.
    [[nodiscard]] std::size_t estimated_size() const { return core_->local().estimated_size(); }
    [[nodiscard]] std::size_t estimated_weight() const { return core_->local().estimated_weight(); }

    /// Removes what has expired. Optional: it would be removed when touched or when room is needed.
    void run_pending_work() { core_->local().run_pending_work(); }

    [[nodiscard]] const std::string& name() const noexcept { return core_->options().name; }

private:
    template <class, class, class, class>
    friend class read_through;

    template <class, class, class, class>
    friend class write_through;

    template <class, class, class, class>
    friend class write_behind;

    template <class Key, class Loader, class Token>
    auto start_load(Key&& key, Loader&& loader, const entry_options& options,
                    std::shared_ptr<cache_detail::flight> asking, Token& token, bool is_forced = false) {
        using function = std::decay_t<Loader>;
        using operation = cache_detail::async_load_operation<core, K, V, function>;
        using result = decltype(cache_detail::initiate<V>(std::declval<operation>(), token, std::declval<K>(),
                                                          std::declval<function>()));
        cache_detail::check_key_argument<Key, result>();
        cache_detail::check_loader_argument<Loader, result>();
        return cache_detail::initiate<V>(operation{core_, options, std::move(asking), is_forced}, token,
                                         K(std::forward<Key>(key)), function(std::forward<Loader>(loader)));
    }

    template <class Loader>
    [[nodiscard]] static std::shared_ptr<cache_detail::bulk_loader<K, V>> bulk_loader_of(Loader&& loader) {
        return std::make_shared<cache_detail::bulk_function<K, V, std::decay_t<Loader>>>(
            std::forward<Loader>(loader));
    }

    template <class Loader, class Token>
    auto start_bulk(std::vector<K> keys, Loader&& loader, const entry_options& options, Token& token) {
        using operation = cache_detail::async_bulk_operation<core>;
        auto held = bulk_loader_of(std::forward<Loader>(loader));
        using result = decltype(boost::asio::async_initiate<Token, cache_detail::bulk_signature<V>>(
            std::declval<operation>(), token, std::move(keys), std::move(held)));
        cache_detail::check_loader_argument<Loader, result>();
        return boost::asio::async_initiate<Token, cache_detail::bulk_signature<V>>(
            operation{core_, options, cache_detail::bulk_kind_of<K, V, std::decay_t<Loader>>()}, token,
            std::move(keys), std::move(held));
    }

    template <class Loader>
    std::optional<V> load(const K& key, std::remove_reference_t<Loader>& loader, const entry_options& options,
                          bool is_forced) {
        cache_detail::found<V> it;
        core_->look(key, options, it);
        if (it.state == cache_detail::freshness::fresh && it.is_known && !is_forced) [[likely]] {
            return std::move(it.value);
        }
        const auto shared = core_;  // this cache may be destroyed while we wait
        constexpr auto kind = cache_detail::kind_of<K, V, std::decay_t<Loader>>();
        cache_detail::flight_maker<core, K, V, Loader> make(*shared, key, loader, options,
                                                            cache_detail::replacing(it, is_forced),
                                                            cache_detail::flight::current() != nullptr);
        const bool may_wait = !async::runs_on_this_thread(shared->options().executor);
        if (!is_forced && cache_detail::answers_now(shared, key, kind, make, it, may_wait)) {
            return std::move(it.value);
        }
        return cache_detail::load_blocking(shared, key, kind, make, it);
    }

    [[nodiscard]] lookup_result<V> look_remotely(const K& key) {
        auto look = core_->begin_look(key);
        const auto answer = core_->remote()->get(core_->name_of(key));
        return core_->end_look(key, std::move(look), answer ? *answer : std::nullopt);
    }

    template <class Make, class Token>
    auto spawn(Make make, Token& token) {
        if (!core_->options().executor) {
            cache_detail::missing_executor(name(), "executor", "an asynchronous write");
        }
        return boost::asio::co_spawn(core_->options().executor, make(), std::forward<Token>(token));
    }

    std::shared_ptr<core> core_;
};

}  // namespace levee
