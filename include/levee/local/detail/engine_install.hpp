/// How a value gets in: room first, by evicting if need be, then the entry. Included by engine.hpp.
#pragma once

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
auto engine<K, V, Hash, Eq>::make_entry(std::uint64_t hash, K key, V value) const -> entry_ptr {
    auto fresh = std::make_shared<entry_type>(hash, std::move(key), std::move(value));
    if (options_.weigher) {
        fresh->weight = options_.weigher(fresh->key, fresh->value);
    }
    return fresh;
}

template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::install(const entry_ptr& fresh, std::optional<duration> ttl, Wanted wanted,
                                     gone_list& gone) -> outcome {
    const shard_type& here = shard_of(fresh->hash);
    reservation held(budget_);
    room need{1, fresh->weight};
    if (!budget_.could_fit(need)) {
        return refuse(fresh, wanted, gone);
    }
    for (;;) {
        const outcome result = try_install(held, need, fresh, ttl, wanted, gone);
        if (result != outcome::refused) {
            return result;
        }
        if (!evict_elsewhere(held, need, here, gone)) {
            if (held.is_alone()) {
                return refuse(fresh, wanted, gone);  // it could fit, but what is pinned fills the cache
            }
            held.work_alone();
        }
    }
}

/// One attempt under the shard's lock; refused: there was not enough room, `need` says for what.
template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::try_install(reservation& held, room& need, const entry_ptr& fresh,
                                         std::optional<duration> ttl, Wanted& wanted, gone_list& gone)
    -> outcome {
    shard_type& here = shard_of(fresh->hash);
    const by_key<K, Eq> its_key{fresh->hash, fresh->key, equal_};
    const time_point at = now();
    const std::lock_guard lock(here.mutex);
    const entry_ptr* const known = here.find_locked(its_key);
    entry_type* old = known != nullptr ? known->get() : nullptr;
    if (old != nullptr && old->is_expired(at)) {
        held.credit(here.unlink_locked(*old, removal_cause::expired, gone));
        old = nullptr;
    }
    if (!wanted(here, old)) {
        return outcome::unwanted;
    }
    const std::size_t old_weight = old != nullptr ? old->weight : 0;
    need = {old != nullptr ? 0U : 1U, fresh->weight > old_weight ? fresh->weight - old_weight : 0};
    if (!here.evict_locked(held, need, at, old, gone)) {
        return outcome::refused;
    }
    fresh->life_ends = end_of_life(at, ttl.value_or(options_.time_to_live), options_.ttl_jitter, here.jitter);
    set_idle_end_locked(*fresh, at);
    here.place_locked(fresh, old, gone);
    here.void_pending_locked(its_key, this);
    held.spend(need);
    if (old_weight > fresh->weight) {
        held.credit({0, old_weight - fresh->weight});
    }
    return outcome::stored;
}

/// No room: the write happens all the same, in that the older value goes.
template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::refuse(const entry_ptr& fresh, Wanted& wanted, gone_list& gone) -> outcome {
    shard_type& here = shard_of(fresh->hash);
    const by_key<K, Eq> its_key{fresh->hash, fresh->key, equal_};
    const time_point at = now();
    const std::lock_guard lock(here.mutex);
    const entry_ptr* const known = here.find_locked(its_key);
    entry_type* const old = known != nullptr ? known->get() : nullptr;
    const bool is_live = old != nullptr && !old->is_expired(at);
    if (!wanted(here, is_live ? old : nullptr)) {
        return outcome::unwanted;
    }
    here.void_pending_locked(its_key, this);
    if (old != nullptr) {
        budget_.give(here.unlink_locked(*old, is_live ? removal_cause::size : removal_cause::expired, gone));
    }
    ++here.stats.rejected;
    return outcome::refused;
}

/// Evicts from the other shards until `held` covers `need`. Alone, it also sweeps out what has expired:
/// pinned entries, which no hand passes.
template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::evict_elsewhere(reservation& held, room need, const shard_type& here,
                                             gone_list& gone) {
    const time_point at = now();
    const auto first = static_cast<std::size_t>(&here - shards_.get());
    for (std::size_t i = 1; i < shard_total_; ++i) {
        shard_type& other = shards_[(first + i) & (shard_total_ - 1)];
        const std::lock_guard lock(other.mutex);
        if (other.evict_locked(held, need, at, nullptr, gone)) {
            return true;
        }
    }
    if (held.is_alone()) {
        for (std::size_t i = 0; i < shard_total_; ++i) {
            sweep(shards_[i], at, gone);
        }
    }
    return held.cover(need);
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::put(K key, V value, std::optional<duration> ttl) {
    if (ttl) {
        check_ttl(*ttl);
    }
    auto removed = gone();
    const std::uint64_t hash = finalised_hash(hash_, key);
    install(
        make_entry(hash, std::move(key), std::move(value)), ttl,
        [](shard_type&, const entry_type*) { return true; }, removed);
}

template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::insert(K key, V value) {
    auto removed = gone();
    const std::uint64_t hash = finalised_hash(hash_, key);
    const auto is_absent = [](shard_type&, const entry_type* old) { return old == nullptr; };
    return install(make_entry(hash, std::move(key), std::move(value)), std::nullopt, is_absent, removed) ==
           outcome::stored;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::set_max_entries(std::size_t max_entries) {
    check_max_entries(max_entries, options_.max_weight);
    auto removed = gone();
    budget_.set_max_entries(max_entries);
    shrink(removed);
    if (budget_.excess_entries() != 0) {
        reservation alone(budget_);  // inserts that had reserved before may have come in since
        alone.work_alone();
        shrink(removed);
        for (std::size_t i = 0; i < shard_total_ && budget_.excess_entries() != 0; ++i) {
            sweep(shards_[i], now(), removed);  // of pinned entries, those that have expired can go
        }
    }
}

/// Evicts from all shards alike until the bound holds or nothing is left to evict.
template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::shrink(gone_list& gone) {
    const time_point at = now();
    bool has_evicted = true;
    while (has_evicted && budget_.excess_entries() != 0) {
        has_evicted = false;
        const std::size_t share = budget_.excess_entries() / shard_total_ + 1;
        for (std::size_t i = 0; i < shard_total_; ++i) {
            shard_type& here = shards_[i];
            const std::lock_guard lock(here.mutex);
            for (std::size_t n = 0; n < share && budget_.excess_entries() != 0; ++n) {
                entry_base* const victim = here.ring.victim(at, nullptr);
                if (victim == nullptr) {
                    break;
                }
                budget_.give(here.unlink_locked(static_cast<entry_type&>(*victim),
                                                shard_type::cause_of_eviction(*victim, at), gone));
                has_evicted = true;
            }
        }
    }
}

}  // namespace levee::local_detail
