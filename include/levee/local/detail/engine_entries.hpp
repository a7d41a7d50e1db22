/// Looking up and removing. Included by engine.hpp.
#pragma once

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

template <class K, class V, class Hash, class Eq>
template <class Pin, class Q, class Look>
LEVEE_LOOK_UP auto engine<K, V, Hash, Eq>::with_entry(std::uint64_t hash, const Q& key, Look&& look) const
    -> seen {
    const group_table* table = nullptr;
    group_table::place found;
    [[maybe_unused]] const node<K, V>* at = nullptr;
    const Pin pinned;
    const auto fits = [&](const std::byte* slot) LEVEE_INLINE_LAMBDA {
        if constexpr (shard_type::is_small) {
            return equal_(shard_type::small_type::in(slot).key, key);
        } else {
            const node_base* const candidate = node_in(slot).load(std::memory_order_acquire);
            at = static_cast<const node<K, V>*>(candidate);
            return candidate->hash == hash && equal_(at->key, key);
        }
    };
    const auto answer = slot_index::find(cells_[shard_number(hash)], hash_parts(hash), fits, found, table);
    if (answer != slot_index::answer::found) [[unlikely]] {
        if (answer == slot_index::answer::absent) {
            return seen::nothing;
        }
        const moving_entry moving = find_on_the_move(hash, key);
        if (moving.table == nullptr) {
            return seen::nothing;
        }
        table = moving.table;
        at = moving.at;
        found.tags = moving.found.tags;  // member by member; see group_table::find
        found.slot = moving.found.slot;
        found.lane = moving.found.lane;
    }
    bool is_live = false;
    if constexpr (shard_type::is_small) {
        if (!table->has_life()) [[likely]] {
            is_live =
                look(shard_type::small_type::value_in(found.slot).load(std::memory_order_acquire), found);
        } else {
            // The end before the value: the writer stores them the other way round, so a new end is never
            // taken for that of an old value.
            const std::int64_t life = table->life(found.slot).load(std::memory_order_acquire);
            const V value = shard_type::small_type::value_in(found.slot).load(std::memory_order_acquire);
            is_live = look(value, found, life, table->has_use() ? table->use_at(found.slot) : nullptr);
        }
    } else {
        is_live = look(at->value, found, at->life, &const_cast<node<K, V>*>(at)->use);
    }
    return is_live ? seen::live : seen::ended;
}

/// `copy_of` where entries have a life, but no time to idle: the clock is asked when nothing is pinned.
template <class K, class V, class Hash, class Eq>
LEVEE_LOOK_UP std::optional<V> engine<K, V, Hash, Eq>::copy_of_mortal(const K& key, std::uint64_t hash,
                                                                      std::uintptr_t word,
                                                                      quick_pin& pinned) {
    constexpr slot_layout layout(slot_payload<K, V>(), slot_layout::times::life);
    group_table::place likely;
    if (table_cell::table(word)->find_likely(hash_parts(hash), likely, layout.stride) &&
        equal_(shard_type::small_type::in(likely.slot).key, key)) [[likely]] {
        // The end before the value, as in `with_entry`.
        const std::int64_t life =
            group_table::life(likely.slot, layout.payload).load(std::memory_order_acquire);
        const V value = shard_type::small_type::value_in(likely.slot).load(std::memory_order_acquire);
        likely.reference();
        pinned.end();
        if (life == never || !has_ended_by(now(), life)) [[likely]] {
            count_look_up(&looked_up::hits);
            return value;
        }
        return copy_carefully(key);
    }
    return copy_of_mortal_less_likely(key, word);
}

/// The caller is pinned, and did not find the key at the first attempt in the table of `word`, one with
/// lives.
template <class K, class V, class Hash, class Eq>
std::optional<V> engine<K, V, Hash, Eq>::copy_of_mortal_less_likely(K key, std::uintptr_t word) {
    constexpr slot_layout layout(slot_payload<K, V>(), slot_layout::times::life);
    const std::uint64_t hash = hash_of(key);
    const auto fits = [&](const std::byte* slot)
                          LEVEE_INLINE_LAMBDA { return equal_(shard_type::small_type::in(slot).key, key); };
    group_table::place found;
    if (table_cell::table(word)->find(hash_parts(hash), fits, found, layout.stride)) [[likely]] {
        const std::int64_t life =
            group_table::life(found.slot, layout.payload).load(std::memory_order_acquire);
        const V value = shard_type::small_type::value_in(found.slot).load(std::memory_order_acquire);
        found.reference();
        quick_pin::end_current();
        if (life == never || !has_ended_by(now(), life)) [[likely]] {
            count_look_up(&looked_up::hits);
            return value;
        }
    } else if (cells_[shard_number(hash)].read() == word) [[likely]] {
        count_look_up(&looked_up::misses);
        return std::nullopt;
    }
    return copy_carefully(key);
}

/// The caller is pinned, and did not find the key at the first attempt in the table of `word`, a plain one.
template <class K, class V, class Hash, class Eq>
std::optional<V> engine<K, V, Hash, Eq>::copy_of_less_likely(K key, std::uintptr_t word) {
    const std::uint64_t hash = hash_of(key);
    const auto fits = [&](const std::byte* slot)
                          LEVEE_INLINE_LAMBDA { return equal_(shard_type::small_type::in(slot).key, key); };
    group_table::place found;
    if (table_cell::plain_table(word)->find(hash_parts(hash), fits, found, slot_payload<K, V>())) [[likely]] {
        return copied(found);
    }
    if (cells_[shard_number(hash)].read() == word) [[likely]] {
        count_look_up(&looked_up::misses);
        return std::nullopt;
    }
    return copy_carefully(key);  // its guard ends the caller's pin, which is not needed any more
}

template <class K, class V, class Hash, class Eq>
std::optional<V> engine<K, V, Hash, Eq>::copy_carefully(K key) {
    std::optional<V> copy;
    find(key, [&copy](const V& value) LEVEE_INLINE_LAMBDA { copy.emplace(value); });
    return copy;
}

/// The part of `with_entry` for when the table is being replaced.
template <class K, class V, class Hash, class Eq>
template <class Q>
auto engine<K, V, Hash, Eq>::find_on_the_move(std::uint64_t hash, const Q& key) const -> moving_entry {
    moving_entry moving{};
    const auto fits = [&](const std::byte* slot) {
        if constexpr (shard_type::is_small) {
            return equal_(shard_type::small_type::in(slot).key, key);
        } else {
            const node_base* const candidate = node_in(slot).load(std::memory_order_acquire);
            moving.at = static_cast<const node<K, V>*>(candidate);
            return candidate->hash == hash && equal_(moving.at->key, key);
        }
    };
    moving.table = shard_of(hash).index.find_in_both(hash_parts(hash), fits, moving.found);
    return moving;
}

template <class K, class V, class Hash, class Eq>
template <class Pin, class Q, class Now, class Look>
LEVEE_LOOK_UP bool engine<K, V, Hash, Eq>::find_hashed(std::uint64_t hash, const Q& key, Now at, Look& look) {
    for (;;) {
        std::int64_t ended_at = never;
        const auto see = [&](const V& value, const group_table::place& place, std::int64_t life = never,
                             std::int64_t* use = nullptr) LEVEE_INLINE_LAMBDA {
            if (life != never || (use != nullptr && time_to_idle_ != never)) {
                const std::int64_t when = at();
                if (has_ended(life, use, when)) {
                    ended_at = when;
                    return false;
                }
                if (time_to_idle_ != never) {
                    const std::atomic_ref last(*use);
                    if (last.load(std::memory_order_relaxed) < when) {  // at most once a tick of the clock
                        last.store(when, std::memory_order_relaxed);
                    }
                }
            }
            place.reference();
            count_look_up(&looked_up::hits);
            look(value);
            return true;
        };
        const seen entry = with_entry<Pin>(hash, key, see);
        if (entry == seen::live) [[likely]] {
            return true;
        }
        if (entry == seen::nothing || !outlives(hash, key, ended_at)) {
            count_look_up(&looked_up::misses);
            return false;
        }
    }
}

template <class K, class V, class Hash, class Eq>
LEVEE_LOOK_UP void engine<K, V, Hash, Eq>::count_look_up(
    std::atomic<std::uint64_t> looked_up::* what) noexcept {
    if (looked_up* const mine = looked_up_.find_local()) [[likely]] {
        auto& counter = mine->*what;  // this thread is the only writer
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
        count_without_cell(what);
    }
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::count_without_cell(std::atomic<std::uint64_t> looked_up::* what) noexcept {
    looked_up* const made = looked_up_.try_local();
    looked_up* const counted = made != nullptr ? made : &looked_up_without_cell_;
    (counted->*what).fetch_add(1, std::memory_order_relaxed);
}

template <class K, class V, class Hash, class Eq>
LEVEE_LOOK_UP bool engine<K, V, Hash, Eq>::has_ended(std::int64_t life, std::int64_t* use,
                                                     std::int64_t at) const noexcept {
    const std::int64_t used =
        time_to_idle_ != never ? std::atomic_ref(*use).load(std::memory_order_relaxed) : 0;
    return has_ended_by(at, end_of_entry(life, used, time_to_idle_));
}

/// Removes the key's entry if it has ended at `at`. True: there is one that has not; it was written or used
/// after its end was read.
template <class K, class V, class Hash, class Eq>
template <class Q>
bool engine<K, V, Hash, Eq>::outlives(std::uint64_t hash, const Q& key, std::int64_t at) {
    auto removed = gone();
    shard_type& here = shard_of(hash);
    const std::lock_guard lock(here.mutex);
    return live_locked(here, by_key<Q, Eq>{hash, key, equal_}, at, removed) != no_entry;
}

template <class K, class V, class Hash, class Eq>
template <class Q>
entry_id engine<K, V, Hash, Eq>::live_locked(shard_type& where, const by_key<Q, Eq>& wanted, std::int64_t at,
                                             gone_list& gone) {
    const entry_id known = where.find_locked(wanted);
    if (known != no_entry && where.is_expired_locked(known, at)) {
        budget_.give(where.unlink_locked(known, removal_cause::expired, gone));
        return no_entry;
    }
    return known;
}

template <class K, class V, class Hash, class Eq>
template <class Q, class Look>
bool engine<K, V, Hash, Eq>::peek(const Q& key, Look&& look) const {
    std::int64_t at = never;  // when the time was first read
    const auto see = [&](const V& value, const group_table::place&, std::int64_t life = never,
                         std::int64_t* use = nullptr) {
        if (life != never || time_to_idle_ != never) {
            at = at == never ? now() : at;
            if (has_ended(life, use, at)) {
                return false;
            }
        }
        look(value);
        return true;
    };
    const std::uint64_t hash = hash_of(key);
    seen entry = with_entry<epoch_pin>(hash, key, see);
    if (entry == seen::ended) {
        // It may have been written again before the time was read. An end read after the time is believed.
        entry = with_entry<epoch_pin>(hash, key, see);
    }
    return entry == seen::live;
}

template <class K, class V, class Hash, class Eq>
template <class Q>
bool engine<K, V, Hash, Eq>::invalidate(const Q& key) {
    auto removed = gone();
    const auto wanted = probe(key);
    const std::int64_t at = now_if_anything_ends();
    shard_type& here = shard_of(wanted.hash);
    const std::lock_guard lock(here.mutex);
    here.void_pending_locked(wanted, this, removed);
    here.bury_locked(removed, false);
    const entry_id known = live_locked(here, wanted, at, removed);
    if (known == no_entry) {
        return false;
    }
    budget_.give(here.unlink_locked(known, removal_cause::invalidated, removed));
    return true;
}

}  // namespace levee::local_detail
