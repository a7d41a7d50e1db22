/// An in-process cache, bounded by entries and by weight.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/core/hash.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/engine.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/local/local_cache_options.hpp"

namespace levee {

/// Keeps the values that are asked for most within a bound; the rest it forgets.
///
///     levee::local_cache<std::string, user> users({.max_entries = 100'000, .time_to_live = 5min});
///     user u = users.get_or_compute("42", [&](const std::string& id) { return db.find(id); });
///
/// *Bounds.* `max_entries` and `max_weight` hold over the whole cache and at every moment. To make room,
/// entries are evicted that were not used lately (CLOCK, Corbató 1968). What can neither be admitted nor
/// evict anything, because it is heavier than the bound or all entries are pinned, is refused: the key's
/// older value is removed (`removal_cause::size`), the call returns normally, `cache_stats::rejected` counts.
/// Writing a key again evicts nobody unless its weight grew.
///
/// *Time.* An expired entry is never returned; it is removed when something comes across it: a call for its
/// key, an eviction, `run_pending_work`.
///
/// *User code.* Hash, weigher, functions, listener and copies of V run off every lock and may use this cache
/// (`visit` is stricter). Eq runs under a lock: it must not. An exception from any of them, or
/// std::bad_alloc, leaves the cache as it was before the call, but for what was evicted to make room.
///
/// Thread safety: safe, except construction and destruction, during which no other call may run. The
/// destructor releases the entries without telling `on_removal`.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class local_cache {
public:
    using key_type = K;
    using mapped_type = V;
    using options = local_cache_options<K, V>;

    /// Errors: std::invalid_argument naming the option that is out of range.
    explicit local_cache(options with, Hash hash = Hash(), Eq equal = Eq())
        : engine_(std::move(with), std::move(hash), std::move(equal)) {}
    local_cache(const local_cache&) = delete;
    local_cache& operator=(const local_cache&) = delete;

    /// A copy of the key's value, or empty. Counts as a hit or a miss, and as a use.
    [[nodiscard]] std::optional<V> get(const K& key) { return copy(engine_.find(key)); }
    template <class Q>
        requires transparent<Hash, Eq>
    [[nodiscard]] std::optional<V> get(const Q& key) {
        return copy(engine_.find(key));
    }

    /// Calls f(const V&) on the key's value in place and returns true, or returns false. Counts as `get`.
    /// `f` must not block nor use this cache; it sees the value as it was found, even if it is removed
    /// meanwhile.
    template <class F>
    bool visit(const K& key, F&& f) {
        return pass(engine_.find(key), f);
    }
    template <class Q, class F>
        requires transparent<Hash, Eq>
    bool visit(const Q& key, F&& f) {
        return pass(engine_.find(key), f);
    }

    /// As `visit`, at a time that the caller has just read from this cache's clock: for compositions that
    /// need the time themselves, and one reading less.
    template <class F>
    bool visit_at(const K& key, time_point now, F&& f) {
        return pass(engine_.find(key, now), f);
    }

    /// Like `get`, but counted nowhere, and no use: it neither protects the entry nor extends its idle time.
    [[nodiscard]] std::optional<V> peek(const K& key) const { return copy(engine_.peek(key)); }
    template <class Q>
        requires transparent<Hash, Eq>
    [[nodiscard]] std::optional<V> peek(const Q& key) const {
        return copy(engine_.peek(key));
    }

    /// Calls f(const V&) with what `peek` would copy; false: nothing there. `f` as for `visit`.
    template <class F>
    bool peek(const K& key, F&& f) const {
        return pass(engine_.peek(key), f);
    }

    /// Stores the value under the key, whatever was there. Errors: whatever the weigher threw.
    void put(K key, V value) { engine_.put(std::move(key), std::move(value), std::nullopt); }

    /// With a life of its own, from now, shortened by `ttl_jitter`. Zero or duration::max(): no end.
    /// Errors: std::invalid_argument if `ttl` is negative.
    void put(K key, V value, duration ttl) { engine_.put(std::move(key), std::move(value), ttl); }

    /// Stores the value only if the key has none (an expired one is none). True: stored.
    bool insert(K key, V value) { return engine_.insert(std::move(key), std::move(value)); }

    /// Returns the cached value, or makes it once on behalf of every concurrent caller, and stores it.
    ///
    /// `make` is V(const K&) or V(), and may use this cache with other keys. A write to the key, or its
    /// invalidation, while `make` runs wins: those who wait for that `make` still get its result, later
    /// callers make anew, and the result is not stored.
    ///
    /// Blocks: until the `make` that runs for this key ends, or `compute_timeout` passes; no lock is held.
    /// Errors: whatever `make` threw, to everyone who waits for it (nothing is stored, the next call makes
    /// again); errc::timeout; errc::recursive_load if `make` asks for its own key on the same thread,
    /// directly or through the `make` of another key. A circle over several threads ends by timeout.
    template <class Make>
    [[nodiscard]] V get_or_compute(const K& key, Make&& make) {
        static_assert(std::is_invocable_r_v<V, Make&, const K&> || std::is_invocable_r_v<V, Make&>,
                      "get_or_compute: make must be callable as V(const K&) or V()");
        return engine_.get_or_compute(key, make);
    }

    /// Replaces the key's value by f(value) in one step: `f` takes std::optional<V>, empty if there is none,
    /// and returns one, empty to remove it. Returns what `f` returned (also when it was refused for its
    /// weight). Counts as a write, not as a look-up.
    ///
    /// Optimistic, so that no caller waits: if the key changed while `f` ran, `f` runs again on the newer
    /// value. So it may run several times, and should have no other effects.
    /// Errors: whatever `f` threw (nothing is changed); errc::recursive_load if `f` writes, computes or
    /// makes its own key.
    template <class F>
    std::optional<V> compute(const K& key, F&& f) {
        static_assert(std::is_invocable_r_v<std::optional<V>, F&, std::optional<V>>,
                      "compute: f must be callable as std::optional<V>(std::optional<V>)");
        return engine_.compute(key, f);
    }

    /// Removes the key; true if it had a live value. After it returned, no value whose making began before
    /// is stored.
    bool invalidate(const K& key) { return engine_.invalidate(key); }
    template <class Q>
        requires transparent<Hash, Eq>
    bool invalidate(const Q& key) {
        return engine_.invalidate(key);
    }

    /// Removes each entry for which matches(const K&, const V&) is true, and returns how many. Ends all
    /// leases and keeps all running makes from storing, since their values cannot be asked yet. What is
    /// stored while it runs may stay. Cost: a pass over all entries.
    template <class Predicate>
    std::size_t invalidate_if(Predicate&& matches) {
        return engine_.invalidate_if(matches);
    }

    /// Removes everything; what is stored while it runs may stay.
    void clear() { engine_.clear(); }

    /// Calls f(const K&, const V&) for the live entries. Weakly consistent: each entry that is there all the
    /// time once, others perhaps. `f` may use this cache. Counts nothing.
    template <class F>
    void for_each(F&& f) const {
        engine_.for_each(f);
    }

    /// Asks for the right to store what the caller is about to fetch, for compositions that load by
    /// themselves. It stands until the key is written or invalidated, or asks for a newer lease, or the
    /// lease is ended: end it by `fill` or `abandon`, since until then it takes the memory of a key.
    [[nodiscard]] fill_lease begin_fill(const K& key) { return engine_.begin_fill(key); }

    /// Stores the value if the lease still stands, and ends it in any case. False: not stored, because
    /// something newer happened to the key or there was no room. `ttl` as for `put`.
    bool fill(fill_lease lease, K key, V value) {
        return engine_.fill(lease, std::move(key), std::move(value), std::nullopt);
    }
    bool fill(fill_lease lease, K key, V value, duration ttl) {
        return engine_.fill(lease, std::move(key), std::move(value), ttl);
    }

    /// Ends the lease without storing. Does nothing if it has ended.
    void abandon(fill_lease lease) noexcept { engine_.abandon(lease); }

    /// Entries held, expired ones that nothing has come across included; never above `max_entries`.
    [[nodiscard]] std::size_t estimated_size() const { return engine_.held().entries; }

    /// The sum of their weights; never above `max_weight`.
    [[nodiscard]] std::size_t estimated_weight() const { return engine_.held().weight; }

    [[nodiscard]] cache_stats stats() const { return engine_.stats(); }

    /// Changes the bound on entries; evicts down to it before it returns, except for pinned entries.
    /// Zero: no such bound. Errors: std::invalid_argument for zero when there is no `max_weight`.
    void set_max_entries(std::size_t max_entries) { engine_.set_max_entries(max_entries); }

    /// Removes everything that has expired. Never needed for correct answers or bounds; frees the memory of
    /// expired entries, and tells `on_removal` of them, without waiting for something to come across them.
    void run_pending_work() { engine_.run_pending_work(); }

private:
    using engine_type = local_detail::engine<K, V, Hash, Eq>;

    [[nodiscard]] static std::optional<V> copy(const typename engine_type::entry_ptr& found) {
        return found ? std::optional<V>(found->value) : std::optional<V>();
    }
    template <class F>
    static bool pass(const typename engine_type::entry_ptr& found, F& f) {
        if (found) {
            f(found->value);
        }
        return found != nullptr;
    }

    engine_type engine_;
};

}  // namespace levee
