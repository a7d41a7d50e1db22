/// A part of a local cache under one lock: entries, their order, and what is being computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/budget.hpp"
#include "levee/local/detail/flight.hpp"
#include "levee/local/detail/keyed_set.hpp"
#include "levee/local/detail/load_chain.hpp"
#include "levee/local/detail/removals.hpp"
#include "levee/local/detail/shard_core.hpp"

namespace levee::local_detail {

/// What is under way for a key that may or may not be cached. It exists only while something is.
template <class K>
struct pending {
    pending(std::uint64_t its_hash, const K& k) : hash(its_hash), key(k) {}

    const std::uint64_t hash;
    const K key;
    std::uint64_t lease = 0;     ///< The newest lease that still stands; zero: none.
    std::uint64_t writes = 0;    ///< Writes to the key since this exists: what `compute` must not miss.
    std::uint32_t computes = 0;  ///< Calls of `compute` that watch `writes`.
    std::shared_ptr<flight> loading{};  ///< What callers may join; null: none, or detached by a write.
    std::shared_ptr<pending> next_forgotten{};  ///< Of `removals`, once nothing is under way.

    [[nodiscard]] bool is_idle() const noexcept { return lease == 0 && computes == 0 && !loading; }
};

/// The key under way that a lease stands for.
struct by_lease {
    std::uint64_t hash;
    std::uint64_t lease;

    template <class Slot>
    [[nodiscard]] bool fits(const Slot& slot) const noexcept {
        return slot.hash == hash && slot.object->lease == lease;
    }
};

/// The key under way that a flight loads.
struct by_flight {
    std::uint64_t hash;
    const flight* loading;

    template <class Slot>
    [[nodiscard]] bool fits(const Slot& slot) const noexcept {
        return slot.object->loading.get() == loading;
    }
};

/// The part that knows the types. Thread safety: as of `shard_core`.
template <class K, class V, class Eq>
class shard final : public shard_core {
public:
    using pending_ptr = std::shared_ptr<pending<K>>;
    using gone_list = removals<K, V>;
    using draft_type = draft<K, V>;
    using small_type = small_entry<K, V>;
    static constexpr bool is_small = lies_in_slot<K, V>;

    explicit shard(const shard_setup& setup) : shard_core(setup) {}
    ~shard() {
        if constexpr (!is_small) {
            for (entry_id id = 0; id < index.id_end(); ++id) {
                if (index.is_used(id)) {
                    delete static_cast<node<K, V>*>(node_locked(id));
                }
            }
            for (node_base* chain : {retired_open(), retired_sealed()}) {
                while (chain != nullptr) {
                    node_base* const gone = std::exchange(chain, chain->next_retired);
                    if (gone->let_go()) {  // an executor may still have to tell of it
                        delete static_cast<node<K, V>*>(gone);
                    }
                }
            }
        }
    }
    shard(const shard&) = delete;
    shard& operator=(const shard&) = delete;

    keyed_set<pending<K>> under_way;
    std::uint64_t last_lease = 0;

    /// Whether a slot holds the key; for both kinds of readers.
    template <class Q>
    LEVEE_LOOK_UP static bool holds(const std::byte* slot, const by_key<Q, Eq>& wanted) {
        if constexpr (is_small) {
            return wanted.equal(small_type::in(slot).key, wanted.key);
        } else {
            const node_base* const found = node_in(slot).load(std::memory_order_acquire);
            return found->hash == wanted.hash &&
                   wanted.equal(static_cast<const node<K, V>*>(found)->key, wanted.key);
        }
    }

    /// The entry, expired or not; `no_entry`. Valid until the entry is removed.
    template <class Q>
    [[nodiscard]] entry_id find_locked(const by_key<Q, Eq>& wanted) {
        const auto fits = [&](const std::byte* slot) { return holds(slot, wanted); };
        const slot_number at = index.find_locked(hash_parts(wanted.hash), fits);
        return at == no_slot ? no_entry : index.id_at(at);
    }

    [[nodiscard]] node_base* node_locked(entry_id id) const noexcept {
        const auto [table, slot] = index.find_id(id);
        return node_in(table->slot(slot)).load(std::memory_order_relaxed);
    }

    /// Stores `fresh` as a new entry; after `prepare_locked`.
    void place_locked(draft_type& fresh, std::int64_t life, std::int64_t now) noexcept {
        const slot_number at = index.take(hash_parts(fresh.hash));
        std::byte* const slot = index.table().slot(at);
        if constexpr (is_small) {
            ::new (static_cast<void*>(slot)) small_type(fresh.pair_key, fresh.pair_value);
        } else {
            fresh.made->life = life;
            fresh.made->use = now;
            node_in(slot).store(fresh.made.release(), std::memory_order_release);
        }
        admit_locked(at, fresh.hash, fresh.weight, life, now);
    }

    /// Stores `fresh` in the place of its key's entry; after `prepare_locked`, and `gone.reserve()`.
    void replace_locked(draft_type& fresh, entry_id old, std::int64_t life, std::int64_t now,
                        gone_list& gone) noexcept {
        std::byte* const slot = index.table().slot(index.at(old));
        if constexpr (is_small) {
            const auto cell = small_type::value_in(slot);
            gone.add(small_type::in(slot).key, cell.load(std::memory_order_relaxed), removal_cause::replaced);
            cell.store(fresh.pair_value, std::memory_order_release);
        } else {
            fresh.made->life = life;
            fresh.made->use = now;
            node_base* const before = node_in(slot).load(std::memory_order_relaxed);
            node_in(slot).store(fresh.made.release(), std::memory_order_release);
            gone.add(*before, removal_cause::replaced);
            retire_locked(*before);
        }
        rewrite_locked(old, fresh.weight, life, now);
    }

    /// Removes an entry and returns what that frees; the caller gives it to the budget or keeps it.
    /// Errors: std::bad_alloc if somebody is to be told; nothing is changed.
    room unlink_locked(entry_id id, removal_cause cause, gone_list& gone) {
        gone.reserve();
        if constexpr (is_small) {
            const auto [table, at] = index.find_id(id);
            std::byte* const slot = table->slot(at);
            gone.add(small_type::in(slot).key, small_type::value_in(slot).load(std::memory_order_relaxed),
                     cause);
            return remove_locked(id, cause);
        } else {
            node_base* const removed = node_locked(id);
            const room freed = remove_locked(id, cause);
            gone.add(*removed, cause);
            retire_locked(*removed);
            return freed;
        }
    }

    /// Gives what no reader can see any more to `gone`. `force`: also if it is not worth the price.
    void bury_locked(gone_list& gone, bool force) noexcept {
        if constexpr (!is_small) {
            gone.bury(collect_locked(force));
        }
        if (force) {
            index.collect();
            index.collect();  // the first one may only have sealed
        }
        if (index.are_tables_due() || force) {
            gone.bury(index.take_passed_tables());
        }
    }

    /// Evicts until `held` covers `need`. Expired entries go first, but for so many at a time. `may_be_poor`:
    /// also what this shard should keep, as others hold more than it does: a heavy newcomer must not take all
    /// that there is of one shard.
    enum class eviction : std::uint8_t { done, nothing_left, not_the_newcomer };
    eviction evict_locked(reservation& held, room need, std::int64_t now, const newcomer* comes,
                          entry_id keep, bool may_be_poor, gone_list& gone) {
        constexpr std::size_t looked_at = 64;
        while (!held.cover(need)) {
            const std::size_t before = stats.expirations;
            expire_locked(now, looked_at, [&](entry_id id) {
                if (id != keep) {
                    held.credit(unlink_locked(id, removal_cause::expired, gone));
                }
            });
            if (stats.expirations != before) {
                continue;
            }
            if (!may_be_poor && is_poor_locked() && held.is_short_of_weight(need)) {
                return eviction::nothing_left;
            }
            const entry_id victim = policy->victim(*this, comes, keep);
            if (victim == no_entry) {
                return eviction::nothing_left;
            }
            if (victim == the_newcomer) {
                return eviction::not_the_newcomer;
            }
            held.credit(unlink_locked(victim, cause_of_eviction(victim, now), gone));
        }
        return eviction::done;
    }

    [[nodiscard]] removal_cause cause_of_eviction(entry_id victim, std::int64_t now) const noexcept {
        return is_expired_locked(victim, now) ? removal_cause::expired : removal_cause::size;
    }

    template <class Q>
    [[nodiscard]] pending<K>* find_pending_locked(const by_key<Q, Eq>& wanted) {
        if (under_way.empty()) {
            return nullptr;
        }
        const auto at = under_way.find(wanted);
        return at == under_way.end() ? nullptr : at->object.get();
    }

    /// What is under way for `spare`'s key; `spare` itself if nothing was.
    pending<K>& pending_locked(const pending_ptr& spare, const Eq& equal) {
        if (pending<K>* known = find_pending_locked(by_key<K, Eq>{spare->hash, spare->key, equal})) {
            return *known;
        }
        under_way.insert(keyed_slot<pending<K>>{spare->hash, spare});
        return *spare;
    }

    /// The lease ends, whether it still stands or not.
    void end_lease_locked(std::uint64_t hash, std::uint64_t lease, gone_list& gone) noexcept {
        if (const auto at = under_way.find(by_lease{hash, lease}); at != under_way.end()) {
            at->object->lease = 0;
            forget_if_idle_locked(at, gone);
        }
    }

    /// Nobody can join `loading` any more.
    void end_flight_locked(std::uint64_t hash, const flight& loading, gone_list& gone) noexcept {
        if (const auto at = under_way.find(by_flight{hash, &loading}); at != under_way.end()) {
            at->object->loading.reset();
            forget_if_idle_locked(at, gone);
        }
    }

    /// A `compute` no longer watches the key.
    void end_watch_locked(pending<K>& work, gone_list& gone) noexcept {
        --work.computes;
        forget_if_idle_locked(under_way.find(by_address{work.hash, &work}), gone);
    }

    /// The key was written: no older load may store its value, nobody may join one, computes run again.
    /// `cache` names the cache to the chain of this thread's loads.
    template <class Q>
    void void_pending_locked(const by_key<Q, Eq>& wanted, const void* cache, gone_list& gone) {
        if (under_way.empty()) {
            return;
        }
        const auto at = under_way.find(wanted);
        if (at == under_way.end()) {
            return;
        }
        if (at->object->computes != 0) {
            if (load_scope* own = running_load<K>(cache, wanted.hash, wanted.key, wanted.equal)) {
                own->wrote_own_key = true;
            }
        }
        void_locked(*at->object);
        forget_if_idle_locked(at, gone);
    }

    void void_all_pending_locked(gone_list& gone) noexcept {
        for (place_under_way at = under_way.cbegin(); at != under_way.cend();) {
            void_locked(*at->object);
            at = forget_if_idle_locked(at, gone);
        }
    }

private:
    using place_under_way = typename keyed_set<pending<K>>::const_iterator;

    /// Returns the next place. The key is destroyed off the lock.
    place_under_way forget_if_idle_locked(place_under_way at, gone_list& gone) noexcept {
        if (!at->object->is_idle()) {
            return std::next(at);
        }
        gone.forget(std::move(at->object));
        return under_way.erase(at);
    }

    static void void_locked(pending<K>& work) noexcept {
        work.lease = 0;
        work.loading.reset();  // its leader holds it, too: nothing is destroyed here
        ++work.writes;
    }
};

}  // namespace levee::local_detail
