/// An in-process cache, bounded by entries and by weight.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/hash.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/engine.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/local/key_hash.hpp"
#include "levee/local/local_cache_options.hpp"
#include "levee/local/replacement_report.hpp"

namespace levee {

/// Keeps the values that are asked for most within a bound; the rest it forgets.
///
///     levee::local_cache<std::string, user> users({.max_entries = 100'000, .time_to_live = 5min});
///     user u = users.get_or_compute("42", [&](const std::string& id) { return db.find(id); });
///
/// *Bounds.* `max_entries` and `max_weight` hold over the whole cache and at every moment. To make room,
/// entries are evicted that were asked for seldom, or not lately (a window and TinyLFU admission before a
/// CLOCK, divided as suits the workload; plain CLOCK, Corbató 1968, for a handful of entries). What can
/// neither be admitted nor evict anything, because it is heavier than the bound or all entries are pinned,
/// is refused: the key's older value is removed (`removal_cause::size`), the call returns normally,
/// `cache_stats::rejected` counts. So is a new key whose entry would weigh more than twice its shard's
/// average (of eight entries or more), once as much has left as is held, unless it was asked for more often,
/// for its weight, than what it would push out, or four times of late. Writing a key again evicts nobody
/// unless its weight grew.
///
/// *Time.* An expired entry is never returned; it is removed by a call for its key, by writes to its
/// shard (each removes some of what has expired), or by `run_pending_work`.
///
/// *Cost.* A hit takes no lock and writes nothing that threads share, but for one mark when an entry is used
/// again after its shard last looked for victims. Keys and values that are small and trivially copyable (16
/// and 8 bytes at most) lie in the index; others behind a pointer, and are destroyed some writes after their
/// removal, when no reader can see them. What waits for readers is bounded. A write that finds it full waits
/// for them: most often for less than a microsecond; for milliseconds if the scheduler stopped a reader in
/// the middle of a look-up; at most 50 times a millisecond, as the system counts it, if a reader does not end
/// (a `visit` that blocks). Then it is refused, like one that finds no room, and so are others, at once,
/// until something passes. A write from within a `visit`, of whatever cache, is refused without waiting.
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
    [[nodiscard, gnu::always_inline]] std::optional<V> get(const K& key) {
        if constexpr (engine_type::is_quiet) {
            return engine_.copy_of(key);
        } else {
            return copy_by([&](auto look) LEVEE_INLINE_LAMBDA { engine_.find(key, look); });
        }
    }
    template <class Q>
        requires transparent<Hash, Eq>
    [[nodiscard]] std::optional<V> get(const Q& key) {
        return copy_by([&](auto look) LEVEE_INLINE_LAMBDA { engine_.find(key, look); });
    }

    /// Calls f(const V&) on the key's value in place and returns true, or returns false. Counts as `get`.
    /// `f` must not block nor use this cache; it sees the value as it was found, even if it is removed
    /// meanwhile.
    template <class F>
    bool visit(const K& key, F&& f) {
        return engine_.find(key, f);
    }
    template <class Q, class F>
        requires transparent<Hash, Eq>
    bool visit(const Q& key, F&& f) {
        return engine_.find(key, f);
    }

    /// The key's hash, for the forms that take one: where a key is looked up in several caches of the same
    /// key type and `Hash`, or was hashed before. Each cache mixes it with a secret of its own.
    template <class Q>
    [[nodiscard]] key_hash hash(const Q& key) const {
        return engine_.hash(key);
    }

    /// As `get`, with the key's `hash`; another one finds nothing, or may.
    template <class Q>
        requires(std::same_as<Q, K> || transparent<Hash, Eq>)
    [[nodiscard]] std::optional<V> get(const Q& key, key_hash hash) {
        return copy_by([&](auto look) LEVEE_INLINE_LAMBDA { engine_.find(key, hash, look); });
    }
    template <class Q, class F>
        requires(std::same_as<Q, K> || transparent<Hash, Eq>)
    bool visit(const Q& key, key_hash hash, F&& f) {
        return engine_.find(key, hash, f);
    }

    /// As `visit`, at a time that the caller has just read from this cache's clock: for compositions that
    /// need the time themselves, and one reading less.
    template <class F>
    bool visit_at(const K& key, time_point now, F&& f) {
        return engine_.find(key, now, f);
    }

    /// Like `get`, but counted nowhere, and no use: it neither protects the entry nor extends its idle time.
    [[nodiscard]] std::optional<V> peek(const K& key) const {
        return copy_by([&](auto look) LEVEE_INLINE_LAMBDA { engine_.peek(key, look); });
    }
    template <class Q>
        requires transparent<Hash, Eq>
    [[nodiscard]] std::optional<V> peek(const Q& key) const {
        return copy_by([&](auto look) LEVEE_INLINE_LAMBDA { engine_.peek(key, look); });
    }

    /// Calls f(const V&) with what `peek` would copy; false: nothing there. `f` as for `visit`.
    template <class F>
    bool peek(const K& key, F&& f) const {
        return engine_.peek(key, f);
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

    /// What the replacement policy is doing. Cost: each shard's lock for some nanoseconds.
    [[nodiscard]] replacement_report replacement() const { return engine_.replacement(); }

    /// About the hit ratio since this was made, had it held `entries` instead of what it holds now; from
    /// small shadow caches over a sample of the keys. Empty outside of half to twice the present size, and
    /// before enough was seen of a full cache.
    ///
    /// On 15 pairs of trace and size, twice the size was told to 0.6 points on average and 1.8 at worst; half
    /// the size to 2.9 and 10: a smaller cache would be divided in another way than the shadow is.
    [[nodiscard]] std::optional<double> estimated_hit_ratio_at(std::size_t entries) const {
        return engine_.estimated_hit_ratio_at(entries);
    }

    /// Changes the bound on entries; evicts down to it before it returns, except for pinned entries, and
    /// keeps other writes waiting while it evicts what came in meanwhile.
    /// Zero: no such bound. Errors: std::invalid_argument for zero when there is no `max_weight`, and nothing
    /// is changed; std::bad_alloc, and the new bound is set, but what was there above it may stay, and the
    /// memory of a larger one, until this is called again.
    void set_max_entries(std::size_t max_entries) { engine_.set_max_entries(max_entries); }

    /// Bytes that the cache has allocated, but for what keys and values own themselves, running makes and
    /// leases. Cost: as `stats`.
    [[nodiscard]] std::size_t memory_usage() const { return engine_.memory_usage(); }

    /// The `count` entries that would be evicted last, the very last first, as far as it can be told: each
    /// shard orders its own, and they take turns. Pinned entries come first. Cost: may look at every entry.
    [[nodiscard]] std::vector<std::pair<K, V>> hottest(std::size_t count) const {
        return engine_.ordered(true, count);
    }

    /// The `count` entries that would be evicted first, the very first one first; as `hottest`.
    [[nodiscard]] std::vector<std::pair<K, V>> coldest(std::size_t count) const {
        return engine_.ordered(false, count);
    }

    /// Writes all live entries to `out`, the coldest first, each with what is left of its life (time to idle
    /// is not kept). `encode(key, value, bytes)` appends an entry's bytes to the std::string `bytes`.
    /// Weakly consistent, as `for_each`. Errors: what `encode` throws; levee::error with
    /// std::errc::io_error when `out` fails.
    template <class Encode>
    void snapshot(std::ostream& out, Encode&& encode) const {
        engine_.snapshot(out, encode);
    }

    /// Stores the entries of a snapshot, in its order, so that what was hot outlives what was cold. What is
    /// there already under the same keys is replaced. `decode(bytes)` takes a std::string_view and returns
    /// std::optional<std::pair<K, V>>, empty to leave the entry out. Returns how many it stored or tried to.
    ///
    /// Errors: levee::error with errc::invalid_data if it is no snapshot, of another version, cut off or
    /// damaged (a checksum says so; nothing was stored then); what `decode` throws.
    template <class Decode>
    std::size_t restore(std::istream& in, Decode&& decode) {
        return engine_.restore(in, decode);
    }

    /// Whether what the cache knows of its entries agrees with itself: for tests. Cost: a pass over all.
    [[nodiscard]] bool is_consistent() const { return engine_.is_consistent(); }

    /// Removes everything that has expired. Never needed for correct answers or bounds; frees the memory of
    /// expired entries, and tells `on_removal` of them, without waiting for something to come across them.
    void run_pending_work() { engine_.run_pending_work(); }

private:
    using engine_type = local_detail::engine<K, V, Hash, Eq>;

    /// What `find(look)` finds.
    template <class Find>
    LEVEE_LOOK_UP static std::optional<V> copy_by(Find find) {
        std::optional<V> copy;
        find([&copy](const V& value) LEVEE_INLINE_LAMBDA { copy.emplace(value); });
        return copy;
    }

    engine_type engine_;
};

}  // namespace levee
