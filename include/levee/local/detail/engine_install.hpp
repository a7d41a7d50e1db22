/// How a value gets in: room first, by evicting if need be, then the entry. Included by engine.hpp.
#pragma once

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
auto engine<K, V, Hash, Eq>::make_draft(std::uint64_t hash, K key, V value) const -> draft_type {
    draft_type fresh(hash, std::move(key), std::move(value));
    if (options_.weigher) {
        fresh.weight = options_.weigher(fresh.key(), fresh.value());
    }
    return fresh;
}

template <class K, class V, class Hash, class Eq>
std::int64_t engine<K, V, Hash, Eq>::now_for_writing(std::optional<duration> ttl) noexcept {
    if (ttl && *ttl != duration::zero() && *ttl != (duration::max)() &&
        !anything_ends_.load(std::memory_order_relaxed)) {
        anything_ends_.store(true, std::memory_order_relaxed);
    }
    return now_if_anything_ends();
}

template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::install(draft_type& fresh, std::optional<duration> ttl, Wanted wanted,
                                     gone_list& gone) -> outcome {
    room need{1, fresh.weight};
    if (!budget_.could_fit(need)) {
        return refuse(fresh, wanted, gone);
    }
    shard_type& here = shard_of(fresh.hash);
    reader_patience patience;
    reservation held(budget_);
    for (;;) {
        switch (try_install(held, need, fresh, ttl, wanted, gone)) {
            case attempt::stored:
                return outcome::stored;
            case attempt::unwanted:
                return outcome::unwanted;
            case attempt::hopeless:
                return refuse(fresh, wanted, gone);
            case attempt::stalled:
                held.leave();  // others need not wait with it
                if (!wait_for_readers(here, patience)) {
                    return refuse(fresh, wanted, gone);
                }
                break;
            case attempt::no_room:
                if (held.is_inside()) {
                    if (evict_elsewhere(held, need, here, gone)) {
                        break;
                    }
                    if (held.is_alone()) {  // it could fit, but what is pinned fills the cache
                        return refuse(fresh, wanted, gone);
                    }
                    held.work_alone();
                    break;
                }
                [[fallthrough]];
            case attempt::busy:
                held.enter();
                break;
        }
    }
}

/// What was removed waits for some reader, and there may not be more of it: waits, too, holding nothing.
/// False: in vain. Then, until something passes again, nobody else waits: the reader may be one that stays.
template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::wait_for_readers(shard_type& here, reader_patience& patience) noexcept {
    if (is_reading()) {
        return false;
    }
    const reader_patience::step step = patience.next();
    if (step == reader_patience::step::give_up) {
        const std::lock_guard lock(here.mutex);
        here.is_stalled = true;
        return false;
    }
    take(step);
    return true;
}

/// Outside the gate, nothing is held without the lock.
template <class K, class V, class Hash, class Eq>
struct engine<K, V, Hash, Eq>::under_one_lock {
    reservation& held;
    ~under_one_lock() {
        if (!held.is_inside()) {
            held.give_back();
        }
    }
};

/// One attempt under the shard's lock. no_room: `need` says how much it takes. stalled: readers hold all
/// spare slots. hopeless: there is no use in making room. busy: somebody works alone.
template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::try_install(reservation& held, room& need, draft_type& fresh,
                                         std::optional<duration> ttl, Wanted& wanted, gone_list& gone)
    -> attempt {
    shard_type& here = shard_of(fresh.hash);
    const by_key<K, Eq> its_key{fresh.hash, fresh.key(), equal_};
    const std::int64_t at = now_for_writing(ttl);
    const std::lock_guard lock(here.mutex);
    if (held.is_kept_out()) {
        return attempt::busy;
    }
    const under_one_lock scope{held};
    here.bury_locked(gone, false);
    constexpr std::size_t expired_a_write = 16;
    here.expire_locked(at, expired_a_write, [&](entry_id id) {
        budget_.give(here.unlink_locked(id, removal_cause::expired, gone));
    });
    entry_id old = here.find_locked(its_key);
    if (old != no_entry && here.is_expired_locked(old, at)) {
        const room freed = here.unlink_locked(old, removal_cause::expired, gone);
        held.credit(freed);
        old = no_entry;
    }
    if (!wanted(here, old)) {
        return attempt::unwanted;
    }
    const time_point when{duration(at)};
    const std::int64_t life =
        count_of(end_of_life(when, ttl.value_or(options_.time_to_live), options_.ttl_jitter, here.jitter));
    if (!here.prepare_locked(life, at, old == no_entry)) {
        return here.is_stalled ? attempt::hopeless : attempt::stalled;
    }
    if (old == no_entry || !shard_type::is_small) {  // else it needed nothing that readers can hold up
        here.is_stalled = false;
    }
    gone.reserve();
    const std::size_t old_weight = old != no_entry ? here.weight_locked(old) : 0;
    need = {old == no_entry ? 1U : 0U, fresh.weight > old_weight ? fresh.weight - old_weight : 0};
    const newcomer comes{hash_parts(fresh.hash).low, fresh.weight};
    const auto result =
        here.evict_locked(held, need, at, old == no_entry ? &comes : nullptr, old, held.is_alone(), gone);
    if (result != shard_type::eviction::done) {
        return result == shard_type::eviction::nothing_left ? attempt::no_room : attempt::hopeless;
    }
    gone.reserve();
    here.void_pending_locked(its_key, this, gone);
    if (old != no_entry) {
        here.replace_locked(fresh, old, life, at, gone);
    } else {
        here.place_locked(fresh, life, at);
    }
    held.spend(need);
    if (old_weight > fresh.weight) {
        held.credit({0, old_weight - fresh.weight});
    }
    return attempt::stored;
}

/// No room: the write happens all the same, in that the older value goes.
template <class K, class V, class Hash, class Eq>
template <class Wanted>
auto engine<K, V, Hash, Eq>::refuse(draft_type& fresh, Wanted& wanted, gone_list& gone) -> outcome {
    shard_type& here = shard_of(fresh.hash);
    const by_key<K, Eq> its_key{fresh.hash, fresh.key(), equal_};
    const std::int64_t at = now_if_anything_ends();
    const std::lock_guard lock(here.mutex);
    const entry_id old = here.find_locked(its_key);
    const bool is_live = old != no_entry && !here.is_expired_locked(old, at);
    if (!wanted(here, is_live ? old : no_entry)) {
        return outcome::unwanted;
    }
    here.void_pending_locked(its_key, this, gone);
    if (old != no_entry) {
        budget_.give(here.unlink_locked(old, is_live ? removal_cause::size : removal_cause::expired, gone));
    }
    ++here.stats.rejected;
    return outcome::refused;
}

/// Evicts from the other shards until `held` covers `need`. Alone, it also takes out what has expired.
template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::evict_elsewhere(reservation& held, room need, const shard_type& here,
                                             gone_list& gone) {
    const std::int64_t at = now_if_anything_ends();
    std::size_t first = 0;
    while (shards_[first].get() != &here) {
        ++first;
    }
    for (const bool may_be_poor : {false, true}) {
        for (std::size_t i = 1; i < shard_total_; ++i) {
            shard_type& other = *shards_[(first + i) & (shard_total_ - 1)];
            const std::lock_guard lock(other.mutex);
            if (other.evict_locked(held, need, at, nullptr, no_entry, may_be_poor, gone) ==
                shard_type::eviction::done) {
                return true;
            }
        }
    }
    if (held.is_alone()) {
        for (const auto& where : shards_) {
            expire_all(*where, at, gone, &held);
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
    const std::uint64_t hash = hash_of(key);
    draft_type fresh = make_draft(hash, std::move(key), std::move(value));
    install(fresh, ttl, [](shard_type&, entry_id) { return true; }, removed);
}

template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::insert(K key, V value) {
    auto removed = gone();
    const std::uint64_t hash = hash_of(key);
    const auto is_absent = [](shard_type&, entry_id old) { return old == no_entry; };
    draft_type fresh = make_draft(hash, std::move(key), std::move(value));
    return install(fresh, std::nullopt, is_absent, removed) == outcome::stored;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::set_max_entries(std::size_t max_entries) {
    check_max_entries(max_entries, options_.max_weight);
    auto removed = gone();
    budget_.set_max_entries(max_entries);
    shrink(removed);
    {
        // Inserts under way may have taken by the bound before. Those inside the gate leave it first; each
        // of the others has one shard's lock until it has taken, and the next one there is kept out.
        reservation alone(budget_);
        alone.work_alone();
        for (const auto& where : shards_) {
            const std::lock_guard wait_for_who_has_it(where->mutex);
        }
        shrink(removed);
        const std::int64_t at = now_if_anything_ends();
        for (std::size_t i = 0; i < shard_total_ && budget_.excess_entries() != 0; ++i) {
            expire_all(*shards_[i], at, removed, nullptr);  // of pinned entries, those that ended can go
        }
    }
    for (const auto& where : shards_) {
        const std::lock_guard lock(where->mutex);
        where->expect_locked(entries_in_a_shard(max_entries, shard_total_),
                             options_.max_weight / shard_total_);
        where->bury_locked(removed, true);
    }
}

/// Evicts from all shards alike until the bound holds or nothing is left to evict.
template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::shrink(gone_list& gone) {
    const std::int64_t at = now_if_anything_ends();
    bool has_evicted = true;
    while (has_evicted && budget_.excess_entries() != 0) {
        has_evicted = false;
        const std::size_t share = std::min<std::size_t>(budget_.excess_entries() / shard_total_ + 1, 256);
        for (const auto& where : shards_) {
            const std::lock_guard lock(where->mutex);
            for (std::size_t n = 0; n < share && budget_.excess_entries() != 0; ++n) {
                const entry_id victim = where->policy->victim(*where, nullptr, no_entry);
                if (victim == no_entry) {
                    break;
                }
                budget_.give(where->unlink_locked(victim, where->cause_of_eviction(victim, at), gone));
                has_evicted = true;
            }
        }
    }
}

}  // namespace levee::local_detail
