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
    if (const entry_ptr hit = find(wanted, now())) {
        return hit->value;
    }
    refuse_recursion(wanted);

    // Allocated and copied before the lock, though some calls will find that they need neither.
    const auto spare = std::make_shared<pending<K>>(wanted.hash, key);
    auto loading = std::make_shared<flight>();
    entry_ptr late_hit;
    std::uint64_t lease = 0;  // not zero: this call leads
    {
        const time_point at = now();
        shard_type& here = shard_of(wanted.hash);
        const std::lock_guard lock(here.mutex);
        late_hit = live_locked(here, wanted, at, removed);  // stored since the first look
        if (late_hit) {
            touch_locked(*late_hit, at);
        } else if (pending<K>& work = here.pending_locked(spare, equal_); work.loading) {
            loading = work.loading;
            ++here.stats.joined;
        } else {
            work.loading = loading;
            lease = work.lease = ++here.last_lease;
            ++here.stats.loads;
        }
    }
    if (late_hit) {
        return late_hit->value;
    }
    if (lease != 0) {
        return lead(wanted, *loading, lease, make, removed);
    }
    const std::shared_ptr<entry_base> made = loading->wait(options_.compute_timeout);
    return static_cast<const entry_type&>(*made).value;
}

template <class K, class V, class Hash, class Eq>
template <class Make>
V engine<K, V, Hash, Eq>::lead(const by_key<K, Eq>& wanted, flight& loading, std::uint64_t lease, Make& make,
                               gone_list& gone) {
    shard_type& here = shard_of(wanted.hash);
    try {
        const load_scope scope(this, wanted.hash, &wanted.key);
        entry_ptr fresh;
        if constexpr (std::is_invocable_v<Make&, const K&>) {
            fresh = make_entry(wanted.hash, wanted.key, std::invoke(make, wanted.key));
        } else {
            fresh = make_entry(wanted.hash, wanted.key, std::invoke(make));
        }
        V answer = fresh->value;  // copied first: what throws here fails the flight as a whole
        const auto lease_stands = [&](shard_type& where, const entry_type*) {
            const pending<K>* const work = where.find_pending_locked(wanted);
            return work != nullptr && work->lease == lease;
        };
        install(fresh, std::nullopt, lease_stands, gone);
        {
            const std::lock_guard lock(here.mutex);
            here.end_flight_locked(wanted.hash, loading);  // if it is still there: it was not stored
        }
        loading.succeed(fresh);
        return answer;
    } catch (...) {
        {
            const std::lock_guard lock(here.mutex);
            here.end_lease_locked(wanted.hash, lease);
            here.end_flight_locked(wanted.hash, loading);
            ++here.stats.load_failures;
        }
        loading.fail(std::current_exception());
        throw;
    }
}

/// Keeps the record of a key's writes while a `compute` watches it.
template <class K, class V, class Hash, class Eq>
class engine<K, V, Hash, Eq>::compute_watch {
public:
    compute_watch(shard_type& where, const std::shared_ptr<pending<K>>& spare, const Eq& equal)
        : where_(where) {
        const std::lock_guard lock(where_.mutex);
        work_ = &where_.pending_locked(spare, equal);
        ++work_->computes;
    }
    ~compute_watch() {
        const std::lock_guard lock(where_.mutex);
        --work_->computes;
        where_.forget_if_idle_locked(*work_);
    }
    compute_watch(const compute_watch&) = delete;
    compute_watch& operator=(const compute_watch&) = delete;

    [[nodiscard]] std::uint64_t writes_locked() const noexcept { return work_->writes; }

private:
    shard_type& where_;
    pending<K>* work_;
};

template <class K, class V, class Hash, class Eq>
template <class F>
std::optional<V> engine<K, V, Hash, Eq>::compute(const K& key, F& f) {
    auto removed = gone();
    const by_key<K, Eq> wanted = probe(key);
    refuse_recursion(wanted);
    shard_type& here = shard_of(wanted.hash);
    const compute_watch watch(here, std::make_shared<pending<K>>(wanted.hash, key), equal_);
    for (;;) {
        entry_ptr base;
        std::uint64_t writes_seen = 0;
        {
            const time_point at = now();
            const std::lock_guard lock(here.mutex);
            base = live_locked(here, wanted, at, removed);
            writes_seen = watch.writes_locked();
        }
        std::optional<V> answer;
        {
            const load_scope scope(this, wanted.hash, &wanted.key);
            answer = std::invoke(f, base ? std::optional<V>(base->value) : std::optional<V>());
            if (scope.wrote_own_key) {
                throw_recursive_load();  // running it again would never end
            }
        }
        const auto is_unchanged = [&](shard_type&, const entry_type* old) {
            return watch.writes_locked() == writes_seen && old == base.get();
        };
        const bool is_done = answer ? install(make_entry(wanted.hash, key, *answer), std::nullopt,
                                              is_unchanged, removed) != outcome::unwanted
                                    : remove(wanted, is_unchanged, removed);
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
    const time_point at = now();
    const std::lock_guard lock(here.mutex);
    const entry_ptr old = live_locked(here, key, at, gone);
    if (!wanted(here, old.get())) {
        return false;
    }
    here.void_pending_locked(key, this);
    if (old) {
        budget_.give(here.unlink_locked(*old, removal_cause::invalidated, gone));
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
    const std::uint64_t hash = finalised_hash(hash_, key);
    if (lease.id == 0) {
        return false;
    }
    const entry_ptr fresh = make_entry(hash, std::move(key), std::move(value));
    const auto lease_stands = [&](shard_type& where, const entry_type*) {
        const pending<K>* const work = where.find_pending_locked(by_key<K, Eq>{hash, fresh->key, equal_});
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
    const std::lock_guard lock(here.mutex);
    here.end_lease_locked(lease.hash, lease.id);
}

}  // namespace levee::local_detail
