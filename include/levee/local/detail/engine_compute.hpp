/// Values that are made on demand: single flights, atomic computes, leases. Included by engine.hpp.
#pragma once

#include <exception>
#include <functional>

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
template <class Make>
V engine<K, V, Hash, Eq>::get_or_compute(const K& key, Make& make) {
    auto removed = gone();
    const by_key<K, Eq> wanted = probe(key);
    std::optional<V> hit;
    const auto copy = [&hit](const V& value) { hit.emplace(value); };
    if (find_hashed<epoch_pin>(wanted.hash, wanted.key, [this] { return now(); }, copy)) {
        return *std::move(hit);
    }
    refuse_recursion(wanted);

    // Allocated and copied before the lock, though some calls will find that they need neither.
    const auto spare = std::make_shared<pending<K>>(wanted.hash, key);
    auto loading = std::make_shared<flight>();
    std::uint64_t lease = 0;  // not zero: this call leads
    for (;;) {
        {
            const std::int64_t at = now_if_anything_ends();
            shard_type& here = shard_of(wanted.hash);
            const std::lock_guard lock(here.mutex);
            if (const entry_id late_hit = live_locked(here, wanted, at, removed); late_hit == no_entry) {
                if (pending<K>& work = here.pending_locked(spare, equal_); work.loading) {
                    loading = work.loading;
                    ++loading->waiters;
                    ++here.stats.joined;
                } else {
                    work.loading = loading;
                    lease = work.lease = ++here.last_lease;
                    ++here.stats.loads;
                }
                break;
            }
        }
        if (use_quietly(wanted, copy)) {  // stored since the first look
            return *std::move(hit);
        }
    }
    if (lease != 0) {
        return lead(wanted, *loading, lease, make, removed);
    }
    const std::shared_ptr<const void> made = loading->wait(options_.compute_timeout);
    return *static_cast<const V*>(made.get());
}

/// As `find`, counted nowhere, and an expired entry is left.
template <class K, class V, class Hash, class Eq>
template <class Q, class Look>
bool engine<K, V, Hash, Eq>::use_quietly(const by_key<Q, Eq>& wanted, Look& look) const {
    const auto see = [&](const V& value, const group_table::place& place, std::int64_t life = never,
                         std::int64_t* use = nullptr) {
        const std::int64_t at = now_if_anything_ends();
        if (has_ended(life, use, at)) {
            return false;
        }
        if (time_to_idle_ != never) {
            std::atomic_ref(*use).store(at, std::memory_order_relaxed);
        }
        place.reference();
        look(value);
        return true;
    };
    return with_entry<epoch_pin>(wanted.hash, wanted.key, see) == seen::live;
}

template <class K, class V, class Hash, class Eq>
template <class Make>
V engine<K, V, Hash, Eq>::lead(const by_key<K, Eq>& wanted, flight& loading, std::uint64_t lease, Make& make,
                               gone_list& gone) {
    shard_type& here = shard_of(wanted.hash);
    std::optional<V> answer;
    try {
        const load_scope scope(this, wanted.hash, &wanted.key);
        const auto run = [&]() -> V {
            if constexpr (std::is_invocable_v<Make&, const K&>) {
                return std::invoke(make, wanted.key);
            } else {
                return std::invoke(make);
            }
        };
        draft_type fresh = make_draft(wanted.hash, K(wanted.key), run());
        answer.emplace(
            fresh.value());  // copied first: what throws here fails the load, and nothing is stored
        const auto lease_stands = [&](shard_type& where, entry_id) {
            const pending<K>* const work = where.find_pending_locked(wanted);
            return work != nullptr && work->lease == lease;
        };
        install(fresh, std::nullopt, lease_stands, gone);
        bool is_awaited = false;
        {
            const std::lock_guard lock(here.mutex);
            here.end_flight_locked(wanted.hash, loading, gone);  // if it is still there: it was not stored
            is_awaited = loading.waiters != 0;
        }
        if (is_awaited) {
            succeed(loading, *answer);
        }
    } catch (...) {
        {
            const std::lock_guard lock(here.mutex);
            here.end_lease_locked(wanted.hash, lease, gone);
            here.end_flight_locked(wanted.hash, loading, gone);
            ++here.stats.load_failures;
        }
        loading.fail(std::current_exception());
        throw;
    }
    return *std::move(answer);  // what throws here is the caller's alone: the load has succeeded
}

/// Hands a copy of `answer`, which may be stored by now, to those who wait. If it cannot be made, that is
/// theirs to hear: the load has succeeded.
template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::succeed(flight& loading, const V& answer) noexcept {
    try {
        loading.succeed(std::make_shared<const V>(answer));
    } catch (...) {
        loading.fail(std::current_exception());
    }
}

/// Keeps the record of a key's writes while a `compute` watches it.
template <class K, class V, class Hash, class Eq>
class engine<K, V, Hash, Eq>::compute_watch {
public:
    compute_watch(shard_type& where, const std::shared_ptr<pending<K>>& spare, const Eq& equal,
                  gone_list& gone)
        : where_(where), gone_(gone) {
        const std::lock_guard lock(where_.mutex);
        work_ = &where_.pending_locked(spare, equal);
        ++work_->computes;
    }
    ~compute_watch() {
        const std::lock_guard lock(where_.mutex);
        where_.end_watch_locked(*work_, gone_);
    }
    compute_watch(const compute_watch&) = delete;
    compute_watch& operator=(const compute_watch&) = delete;

    [[nodiscard]] std::uint64_t writes_locked() const noexcept { return work_->writes; }

private:
    shard_type& where_;
    gone_list& gone_;
    pending<K>* work_;
};

template <class K, class V, class Hash, class Eq>
template <class F>
std::optional<V> engine<K, V, Hash, Eq>::compute(const K& key, F& f) {
    auto removed = gone();
    const by_key<K, Eq> wanted = probe(key);
    refuse_recursion(wanted);
    shard_type& here = shard_of(wanted.hash);
    const compute_watch watch(here, std::make_shared<pending<K>>(wanted.hash, key), equal_, removed);
    for (;;) {
        std::uint64_t writes_seen = 0;
        {
            const std::lock_guard lock(here.mutex);
            writes_seen = watch.writes_locked();
        }
        // Read after that: if it is newer than `writes_seen`, f runs once more.
        std::optional<V> base;
        peek(wanted.key, [&base](const V& value) { base.emplace(value); });
        const bool had_one = base.has_value();
        std::optional<V> answer;
        {
            const load_scope scope(this, wanted.hash, &wanted.key);
            answer = std::invoke(f, std::move(base));
            if (scope.wrote_own_key) {
                throw_recursive_load();  // running it again would never end
            }
        }
        const auto is_unchanged = [&](shard_type&, entry_id old) {
            return watch.writes_locked() == writes_seen && (old != no_entry) == had_one;
        };
        bool is_done = false;
        if (answer) {
            draft_type fresh = make_draft(wanted.hash, K(key), V(*answer));
            is_done = install(fresh, std::nullopt, is_unchanged, removed) != outcome::unwanted;
        } else {
            is_done = remove(wanted, is_unchanged, removed);
        }
        if (is_done) {
            return answer;
        }
    }
}

/// Removes the key if `wanted(shard, old)`, asked under the lock, says so; returns what it said.
template <class K, class V, class Hash, class Eq>
template <class Wanted>
bool engine<K, V, Hash, Eq>::remove(const by_key<K, Eq>& key, Wanted wanted, gone_list& gone) {
    shard_type& here = shard_of(key.hash);
    const std::int64_t at = now_if_anything_ends();
    const std::lock_guard lock(here.mutex);
    here.bury_locked(gone, false);
    const entry_id old = live_locked(here, key, at, gone);
    if (!wanted(here, old)) {
        return false;
    }
    here.void_pending_locked(key, this, gone);
    if (old != no_entry) {
        budget_.give(here.unlink_locked(old, removal_cause::invalidated, gone));
    }
    return true;
}

template <class K, class V, class Hash, class Eq>
fill_lease engine<K, V, Hash, Eq>::begin_fill(const K& key) {
    const by_key<K, Eq> wanted = probe(key);
    const auto spare = std::make_shared<pending<K>>(wanted.hash, key);
    shard_type& here = shard_of(wanted.hash);
    const std::lock_guard lock(here.mutex);
    pending<K>& work = here.pending_locked(spare, equal_);
    work.lease = ++here.last_lease;
    return {.hash = wanted.hash, .id = work.lease};
}

template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::fill(fill_lease lease, K key, V value, std::optional<duration> ttl) {
    struct end_of_lease {
        engine& cache;
        fill_lease lease;
        ~end_of_lease() { cache.abandon(lease); }
    };
    auto removed = gone();
    const end_of_lease end{*this, lease};  // whatever happens
    if (ttl) {
        check_ttl(*ttl);
    }
    const std::uint64_t hash = hash_of(key);
    if (lease.id == 0) {
        return false;
    }
    draft_type fresh = make_draft(hash, std::move(key), std::move(value));
    const auto lease_stands = [&](shard_type& where, entry_id) {
        const pending<K>* const work = where.find_pending_locked(by_key<K, Eq>{hash, fresh.key(), equal_});
        return work != nullptr && work->lease == lease.id;
    };
    return install(fresh, ttl, lease_stands, removed) == outcome::stored;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::abandon(fill_lease lease) noexcept {
    if (lease.id == 0) {
        return;
    }
    shard_type& here = shard_of(lease.hash);
    auto removed = gone();
    const std::lock_guard lock(here.mutex);
    here.end_lease_locked(lease.hash, lease.id, removed);
}

}  // namespace levee::local_detail
