/// Looking up, removing and sweeping. Included by engine.hpp.
#pragma once

#include <bit>

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
engine<K, V, Hash, Eq>::engine(options_type options, Hash hash, Eq equal)
    : options_(std::move(options)),
      hash_(std::move(hash)),
      equal_(std::move(equal)),
      clock_(options_.clock != nullptr ? options_.clock : &clock::coarse()),
      shard_total_((check_options(checked()), shard_count(checked()))),
      shard_bits_(static_cast<unsigned>(std::countr_zero(shard_total_))),
      shards_(std::make_unique<shard_type[]>(shard_total_)),
      budget_(options_.max_entries, options_.max_weight) {
    splitmix64 seeds(static_cast<std::uint64_t>(now().time_since_epoch().count()));
    for (std::size_t i = 0; i < shard_total_; ++i) {
        shards_[i].jitter = xoshiro256(seeds());
    }
}

template <class K, class V, class Hash, class Eq>
checked_options engine<K, V, Hash, Eq>::checked() const noexcept {
    return {.max_entries = options_.max_entries,
            .max_weight = options_.max_weight,
            .has_weigher = static_cast<bool>(options_.weigher),
            .time_to_live = options_.time_to_live,
            .time_to_idle = options_.time_to_idle,
            .ttl_jitter = options_.ttl_jitter,
            .compute_timeout = options_.compute_timeout,
            .shards = options_.shards};
}

template <class K, class V, class Hash, class Eq>
template <class Q>
auto engine<K, V, Hash, Eq>::live_locked(shard_type& where, const by_key<Q, Eq>& wanted, time_point at,
                                         gone_list& gone) -> entry_ptr {
    const entry_ptr* const known = where.find_locked(wanted);
    if (known == nullptr) {
        return nullptr;
    }
    if ((*known)->is_expired(at)) {
        budget_.give(where.unlink_locked(**known, removal_cause::expired, gone));
        return nullptr;
    }
    return *known;
}

template <class K, class V, class Hash, class Eq>
template <class Q>
auto engine<K, V, Hash, Eq>::find(const by_key<Q, Eq>& wanted, time_point at) -> entry_ptr {
    auto removed = gone();
    shard_type& here = shard_of(wanted.hash);
    const std::lock_guard lock(here.mutex);
    entry_ptr found = live_locked(here, wanted, at, removed);
    if (found) {
        touch_locked(*found, at);
        ++here.stats.hits;
    } else {
        ++here.stats.misses;
    }
    return found;
}

template <class K, class V, class Hash, class Eq>
template <class Q>
auto engine<K, V, Hash, Eq>::peek(const Q& key) const -> entry_ptr {
    const auto wanted = probe(key);
    const time_point at = now();
    shard_type& here = shard_of(wanted.hash);
    const std::lock_guard lock(here.mutex);
    const entry_ptr* const known = here.find_locked(wanted);
    return known != nullptr && !(*known)->is_expired(at) ? *known : nullptr;
}

/// The live entries of one shard at one moment; `voids_pending`: what is under way is voided at that moment,
/// too.
template <class K, class V, class Hash, class Eq>
auto engine<K, V, Hash, Eq>::snapshot(shard_type& where, bool voids_pending) const -> std::vector<entry_ptr> {
    std::vector<entry_ptr> items;
    const time_point at = now();
    for (std::size_t size = 0;;) {
        items.reserve(size);  // off the lock; again if the shard has grown meanwhile
        const std::lock_guard lock(where.mutex);
        size = where.entries.size();
        if (size > items.capacity()) {
            continue;
        }
        if (voids_pending) {
            where.void_all_pending_locked();
        }
        for (const auto& slot : where.entries) {
            if (!slot.object->is_expired(at)) {
                items.push_back(slot.object);
            }
        }
        return items;
    }
}

template <class K, class V, class Hash, class Eq>
template <class F>
void engine<K, V, Hash, Eq>::for_each(F& f) const {
    for (std::size_t i = 0; i < shard_total_; ++i) {
        for (const entry_ptr& item : snapshot(shards_[i], false)) {
            f(item->key, item->value);
        }
    }
}

template <class K, class V, class Hash, class Eq>
template <class Q>
bool engine<K, V, Hash, Eq>::invalidate(const Q& key) {
    auto removed = gone();
    const auto wanted = probe(key);
    const time_point at = now();
    shard_type& here = shard_of(wanted.hash);
    const std::lock_guard lock(here.mutex);
    here.void_pending_locked(wanted, this);
    const entry_ptr known = live_locked(here, wanted, at, removed);
    if (!known) {
        return false;
    }
    budget_.give(here.unlink_locked(*known, removal_cause::invalidated, removed));
    return true;
}

template <class K, class V, class Hash, class Eq>
template <class Predicate>
std::size_t engine<K, V, Hash, Eq>::invalidate_if(Predicate& matches) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < shard_total_; ++i) {
        auto removed = gone();
        shard_type& here = shards_[i];
        for (const entry_ptr& item : snapshot(here, true)) {
            if (!matches(item->key, item->value)) {
                continue;
            }
            const std::lock_guard lock(here.mutex);
            if (here.entries.contains(by_address{item->hash, item.get()})) {
                budget_.give(here.unlink_locked(*item, removal_cause::invalidated, removed));
                ++count;
            }
        }
    }
    return count;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::clear() {
    for (std::size_t i = 0; i < shard_total_; ++i) {
        auto removed = gone();
        keyed_set<entry_type> all;
        shard_type& here = shards_[i];
        {
            const std::lock_guard lock(here.mutex);
            here.void_all_pending_locked();
            here.ring.clear();
            all.swap(here.entries);
            budget_.give({all.size(), std::exchange(here.weight, 0)});
        }
        for (const auto& slot : all) {
            removed.add(std::move(slot.object), removal_cause::invalidated);
        }
    }
}

/// Removes what has expired, a few buckets at a time so that the lock is never held for long.
template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::sweep(shard_type& where, time_point at, gone_list& gone) {
    constexpr std::size_t buckets_at_a_time = 256;
    std::size_t buckets = 0;
    std::size_t next = 0;
    do {
        const std::lock_guard lock(where.mutex);
        if (where.entries.bucket_count() !=
            buckets) {  // the first time, and when it has grown: from the start
            buckets = where.entries.bucket_count();
            next = 0;
        }
        for (std::size_t n = 0; n < buckets_at_a_time && next < buckets; ++n, ++next) {
            for (auto slot = where.entries.begin(next); slot != where.entries.end(next);) {
                entry_type& item = *slot->object;
                ++slot;  // before its element goes
                if (item.is_expired(at)) {
                    budget_.give(where.unlink_locked(item, removal_cause::expired, gone));
                }
            }
        }
    } while (next < buckets);
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::run_pending_work() {
    const time_point at = now();
    for (std::size_t i = 0; i < shard_total_; ++i) {
        auto removed = gone();
        sweep(shards_[i], at, removed);
    }
}

template <class K, class V, class Hash, class Eq>
cache_stats engine<K, V, Hash, Eq>::stats() const {
    cache_stats sum;
    for (std::size_t i = 0; i < shard_total_; ++i) {
        const std::lock_guard lock(shards_[i].mutex);
        sum += shards_[i].stats;
    }
    sum.listener_failures = listener_failures_.load(std::memory_order_relaxed);
    return sum;
}

}  // namespace levee::local_detail
