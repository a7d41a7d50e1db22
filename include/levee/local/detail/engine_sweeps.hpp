/// Passes over all entries, some at a time so that no lock is held for long. Included by engine.hpp.
#pragma once

#include <utility>

#include "levee/local/detail/engine.hpp"

namespace levee::local_detail {

/// An entry that cannot go away: a copy of small ones, a hold on a node. Made under the shard's lock, ended
/// off it.
template <class K, class V, class Hash, class Eq>
class engine<K, V, Hash, Eq>::kept_entry {
public:
    kept_entry(const shard_type& where, entry_id its_id) : id(its_id), life(where.life_locked(its_id)) {
        if constexpr (shard_type::is_small) {
            const auto [table, slot] = where.index.find_id(id);
            std::byte* const cell = table->slot(slot);
            held_.emplace(shard_type::small_type::in(cell).key,
                          shard_type::small_type::value_in(cell).load_bits(std::memory_order_relaxed));
        } else {
            held_ = where.node_locked(id);
            held_->holds.fetch_add(1, std::memory_order_relaxed);
        }
    }
    kept_entry(kept_entry&& other) noexcept
        : id(other.id), life(other.life), held_(std::exchange(other.held_, {})) {}
    kept_entry& operator=(kept_entry&&) = delete;
    ~kept_entry() {
        if constexpr (!shard_type::is_small) {
            if (held_ != nullptr) {
                drop_hold<K, V>(held_);
            }
        }
    }

    [[nodiscard]] const K& key() const noexcept {
        if constexpr (shard_type::is_small) {
            return held_->key;
        } else {
            return static_cast<const node<K, V>*>(held_)->key;
        }
    }
    [[nodiscard]] const V& value() const noexcept {
        if constexpr (shard_type::is_small) {
            return held_->value;
        } else {
            return static_cast<const node<K, V>*>(held_)->value;
        }
    }

    /// Whether the shard still has it: the same node, or the same bytes.
    [[nodiscard]] bool is_there_locked(const shard_type& where, const Eq& equal) const {
        if (!where.index.is_used(id)) {
            return false;
        }
        if constexpr (shard_type::is_small) {
            const auto [table, slot] = where.index.find_id(id);
            std::byte* const cell = table->slot(slot);
            return equal(shard_type::small_type::in(cell).key, held_->key) &&
                   shard_type::small_type::value_in(cell).load_bits(std::memory_order_relaxed) == held_->bits;
        } else {
            return where.node_locked(id) == held_;
        }
    }

    const entry_id id;
    const std::int64_t life;  // without a time to idle

private:
    // The bits, too: a copy of a V need not have its padding.
    template <class Bits>
    struct copied {
        copied(const K& k, Bits b) noexcept : key(k), value(std::bit_cast<V>(b)), bits(b) {}

        K key;
        V value;
        Bits bits;
    };
    std::conditional_t<shard_type::is_small, std::optional<copied<value_bits<V>>>, node_base*> held_{};
};

/// Calls `visit(kept_entry)`, off the lock, for each entry that is live.
template <class K, class V, class Hash, class Eq>
template <class Visit>
void engine<K, V, Hash, Eq>::visit_all(shard_type& where, Visit&& visit) const {
    constexpr std::size_t looked_at_a_time = 4096;
    const std::int64_t at = now_if_anything_ends();
    std::vector<kept_entry> kept;
    kept.reserve(kept_at_a_time);
    entry_id next = 0;
    for (bool is_over = false; !is_over; kept.clear()) {
        {
            const std::lock_guard lock(where.mutex);
            const entry_id end = where.index.id_end();
            for (std::size_t looked_at = 0;
                 kept.size() < kept_at_a_time && next < end && looked_at < looked_at_a_time;
                 ++next, ++looked_at) {
                if (where.index.is_used(next) && !(at != 0 && where.is_expired_locked(next, at))) {
                    kept.emplace_back(where, next);
                }
            }
            is_over = next >= end;
        }
        for (const kept_entry& one : kept) {
            visit(one);
        }
    }
}

template <class K, class V, class Hash, class Eq>
template <class F>
void engine<K, V, Hash, Eq>::for_each(F& f) const {
    for (const auto& where : shards_) {
        visit_all(*where, [&](const kept_entry& one) { f(one.key(), one.value()); });
    }
}

template <class K, class V, class Hash, class Eq>
template <class Predicate>
std::size_t engine<K, V, Hash, Eq>::invalidate_if(Predicate& matches) {
    std::size_t count = 0;
    for (const auto& where : shards_) {
        shard_type& here = *where;
        {
            auto removed = gone();
            const std::lock_guard lock(here.mutex);
            here.void_all_pending_locked(removed);
        }
        visit_all(here, [&](const kept_entry& one) {
            if (!matches(one.key(), one.value())) {
                return;
            }
            auto removed = gone();
            const std::lock_guard lock(here.mutex);
            if (one.is_there_locked(here, equal_)) {
                budget_.give(here.unlink_locked(one.id, removal_cause::invalidated, removed));
                ++count;
            }
        });
        auto removed = gone();
        const std::lock_guard lock(here.mutex);
        here.bury_locked(removed, true);
    }
    return count;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::clear() {
    constexpr std::size_t at_a_time = 256;
    for (const auto& where : shards_) {
        shard_type& here = *where;
        entry_id next = 0;
        for (bool is_first = true, is_over = false; !is_over; is_first = false) {
            auto removed = gone();
            const std::lock_guard lock(here.mutex);
            if (is_first) {
                here.void_all_pending_locked(removed);
            }
            for (std::size_t n = 0; n < at_a_time && next < here.index.id_end(); ++n, ++next) {
                if (here.index.is_used(next)) {
                    budget_.give(here.unlink_locked(next, removal_cause::invalidated, removed));
                }
            }
            is_over = next >= here.index.id_end();
            here.bury_locked(removed, is_over);
        }
    }
}

/// Removes what has expired. What that frees goes to `held` if it is not null. True: something was removed.
template <class K, class V, class Hash, class Eq>
bool engine<K, V, Hash, Eq>::expire_all(shard_type& where, std::int64_t at, gone_list& gone,
                                        reservation* held) {
    constexpr std::size_t at_a_time = 256;
    bool has_removed = false;
    for (bool is_over = false; !is_over;) {
        const std::lock_guard lock(where.mutex);
        is_over = where.expire_locked(at, at_a_time, [&](entry_id id) {
            const room freed = where.unlink_locked(id, removal_cause::expired, gone);
            held != nullptr ? held->credit(freed) : budget_.give(freed);
            has_removed = true;
        });
        where.bury_locked(gone, false);
    }
    return has_removed;
}

template <class K, class V, class Hash, class Eq>
void engine<K, V, Hash, Eq>::run_pending_work() {
    const std::int64_t at = now();
    for (const auto& where : shards_) {
        auto removed = gone();
        expire_all(*where, at, removed, nullptr);
        constexpr std::size_t groups_at_a_time = 64;
        for (bool is_over = false; !is_over;) {
            const std::lock_guard lock(where->mutex);
            is_over = where->index.rebuild(groups_at_a_time);
        }
        const std::lock_guard lock(where->mutex);
        where->bury_locked(removed, true);
    }
}

}  // namespace levee::local_detail
