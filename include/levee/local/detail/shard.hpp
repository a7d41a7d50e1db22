/// A part of a local cache under one lock: entries, their order, and what is being computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/budget.hpp"
#include "levee/local/detail/clock_ring.hpp"
#include "levee/local/detail/entry.hpp"
#include "levee/local/detail/flight.hpp"
#include "levee/local/detail/keyed_set.hpp"
#include "levee/local/detail/load_chain.hpp"
#include "levee/local/detail/removals.hpp"

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

/// Thread safety: whoever calls a `_locked` function holds `mutex`; it guards everything here.
template <class K, class V, class Eq>
struct shard {
    using entry_type = entry<K, V>;
    using entry_ptr = std::shared_ptr<entry_type>;
    using pending_ptr = std::shared_ptr<pending<K>>;
    using gone_list = removals<K, V>;

    std::mutex mutex;
    keyed_set<entry_type> entries;
    std::size_t weight = 0;  // of all entries
    clock_ring ring;         // of the entries that are not pinned
    keyed_set<pending<K>> under_way;
    std::uint64_t last_lease = 0;
    xoshiro256 jitter{0};
    cache_stats stats{};

    /// The entry, expired or not; null: none. What it points to stands until the entry is removed.
    template <class Q>
    [[nodiscard]] const entry_ptr* find_locked(const by_key<Q, Eq>& wanted) const {
        const auto at = entries.find(wanted);
        return at == entries.end() ? nullptr : &at->object;
    }

    /// Stores `fresh`, in the place of `old` if that is not null. Errors: std::bad_alloc; nothing is changed.
    void place_locked(entry_ptr fresh, entry_type* old, gone_list& gone) {
        entry_type& item = *fresh;
        if (old == nullptr) {
            entries.insert(keyed_slot<entry_type>{item.hash, std::move(fresh)});
            weight += item.weight;
            if (item.weight != 0) {
                ring.push_back(item);
            }
            return;
        }
        if (old->next == nullptr || item.weight == 0) {  // pinned before, or from now on
            ring.remove(*old);
            if (item.weight != 0) {
                ring.push_back(item);
            }
        } else {
            ring.replace(*old, item);
        }
        weight += item.weight - old->weight;
        item.referenced = true;  // writing it again is a use
        const auto at = entries.find(by_address{old->hash, old});
        std::swap(at->object, fresh);
        gone.add(std::move(fresh), removal_cause::replaced);
    }

    /// Removes an entry and returns what that frees; the caller gives it to the budget or keeps it.
    room unlink_locked(entry_type& item, removal_cause cause, gone_list& gone) noexcept {
        const room freed{1, item.weight};
        if (cause == removal_cause::size) {
            ++stats.evictions;
            stats.evicted_weight += freed.weight;
        } else if (cause == removal_cause::expired) {
            ++stats.expirations;
        }
        weight -= freed.weight;
        ring.remove(item);
        const auto at = entries.find(by_address{item.hash, &item});
        entry_ptr removed = std::move(at->object);
        entries.erase(at);
        gone.add(std::move(removed), cause);
        return freed;
    }

    /// Evicts by CLOCK until `held` covers `need`; false: nothing is left to evict.
    bool evict_locked(reservation& held, room need, time_point now, const entry_type* keep,
                      gone_list& gone) noexcept {
        while (!held.cover(need)) {
            entry_base* const victim = ring.victim(now, keep);
            if (victim == nullptr) {
                return false;
            }
            held.credit(
                unlink_locked(static_cast<entry_type&>(*victim), cause_of_eviction(*victim, now), gone));
        }
        return true;
    }

    [[nodiscard]] static removal_cause cause_of_eviction(const entry_base& victim, time_point now) noexcept {
        return victim.is_expired(now) ? removal_cause::expired : removal_cause::size;
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
    void end_lease_locked(std::uint64_t hash, std::uint64_t lease) noexcept {
        if (const auto at = under_way.find(by_lease{hash, lease}); at != under_way.end()) {
            at->object->lease = 0;
            forget_if_idle_locked(*at->object);
        }
    }

    /// Nobody can join `loading` any more.
    void end_flight_locked(std::uint64_t hash, const flight& loading) noexcept {
        if (const auto at = under_way.find(by_flight{hash, &loading}); at != under_way.end()) {
            at->object->loading.reset();
            forget_if_idle_locked(*at->object);
        }
    }

    void forget_if_idle_locked(const pending<K>& work) noexcept {
        if (work.is_idle()) {
            under_way.erase(under_way.find(by_address{work.hash, &work}));
        }
    }

    /// The key was written: no older load may store its value, nobody may join one, computes run again.
    /// `cache` names the cache to the chain of this thread's loads.
    template <class Q>
    void void_pending_locked(const by_key<Q, Eq>& wanted, const void* cache) {
        pending<K>* const work = find_pending_locked(wanted);
        if (work == nullptr) {
            return;
        }
        if (work->computes != 0) {
            if (load_scope* own = running_load<K>(cache, wanted.hash, wanted.key, wanted.equal)) {
                own->wrote_own_key = true;
            }
        }
        void_locked(*work);
        forget_if_idle_locked(*work);
    }

    void void_all_pending_locked() noexcept {
        for (auto at = under_way.begin(); at != under_way.end();) {
            void_locked(*at->object);
            at = at->object->is_idle() ? under_way.erase(at) : std::next(at);
        }
    }

private:
    static void void_locked(pending<K>& work) noexcept {
        work.lease = 0;
        work.loading.reset();  // its leader holds it, too: nothing is destroyed here
        ++work.writes;
    }
};

}  // namespace levee::local_detail
