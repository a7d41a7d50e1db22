/// The machine behind `local_cache`: shards, one budget over all of them, and the ways of reading and
/// writing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/epoch.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"
#include "levee/core/thread_slots.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/option_checks.hpp"
#include "levee/local/detail/quick_pin.hpp"
#include "levee/local/detail/reader_patience.hpp"
#include "levee/local/detail/shard.hpp"
#include "levee/local/detail/table_arena.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/local/key_hash.hpp"
#include "levee/local/local_cache_options.hpp"

namespace levee::local_detail {

/// Reading takes no lock and writes nothing that threads share, but for the first mark of a use that the
/// policy has not seen yet. Writing takes one shard's lock.
///
/// Lock order: the insert gate before a shard's mutex; never two shards at once; a flight's mutex alone.
/// Under a shard's mutex run Eq, allocation, and no other code of the user.
template <class K, class V, class Hash, class Eq>
class engine {
public:
    using shard_type = shard<K, V, Eq>;
    using draft_type = draft<K, V>;
    using gone_list = removals<K, V>;
    using options_type = local_cache_options<K, V>;

    engine(options_type options, Hash hash, Eq equal);

    /// Whether no code of the user runs where keys are compared and values copied.
    static constexpr bool is_quiet =
        shard_type::is_small && std::is_arithmetic_v<K> &&
        (std::is_same_v<Eq, std::equal_to<>> || std::is_same_v<Eq, std::equal_to<K>>);

    // Reading: `look(const V&)` is called if there is a live value, pinned, and true returned.
    template <class Q, class Look>
    LEVEE_LOOK_UP bool find(const Q& key, Look&& look) {
        return find_hashed<epoch_pin>(hash_of(key), key, [this] { return now(); }, look);
    }
    /// A copy of the live value. What stands in the way of a hit that is found at the first attempt, in a
    /// table that is not on the move and without times, is as little as can be; all else is not inlined. The
    /// fewer instructions there are, and the fewer are stores of what finds no register, the more look-ups
    /// overlap.
    LEVEE_LOOK_UP std::optional<V> copy_of(const K& key)
        requires is_quiet
    {
        if (detail::slot_record* const free = quick_pin::unpinned()) [[likely]] {
            quick_pin pinned(*free);
            const std::uint64_t hash = hash_of(key);
            const std::uintptr_t word = cells_[shard_number(hash)].read();
            if (table_cell::is_plain(word)) [[likely]] {
                group_table::place likely;
                if (table_cell::plain_table(word)->find_likely(hash_parts(hash), likely,
                                                               slot_payload<K, V>()) &&
                    equal_(shard_type::small_type::in(likely.slot).key, key)) [[likely]] {
                    return copied(likely);
                }
                return copy_of_less_likely(key, word);
            }
            if (table_cell::is_mortal(word)) {
                return copy_of_mortal(key, hash, word, pinned);
            }
        }
        return copy_carefully(key);
    }
    template <class Q, class Look>
    LEVEE_LOOK_UP bool find(const Q& key, time_point at, Look&& look) {
        return find_hashed<epoch_pin>(hash_of(key), key, [at] { return count_of(at); }, look);
    }
    template <class Q, class Look>
    bool find(const Q& key, key_hash known, Look&& look) {
        return find_hashed<epoch_pin>(seeded(known.value), key, [this] { return now(); }, look);
    }
    template <class Q>
    [[nodiscard]] key_hash hash(const Q& key) const {
        return {unseeded(key)};
    }
    template <class Q, class Look>
    bool peek(const Q& key, Look&& look) const;
    template <class F>
    void for_each(F& f) const;

    // Writing. `ttl` empty: the options' time to live.
    void put(K key, V value, std::optional<duration> ttl);
    bool insert(K key, V value);
    template <class Q>
    bool invalidate(const Q& key);
    template <class Predicate>
    std::size_t invalidate_if(Predicate& matches);
    void clear();
    void set_max_entries(std::size_t max_entries);
    void run_pending_work();

    // Computing.
    template <class Make>
    [[nodiscard]] V get_or_compute(const K& key, Make& make);
    template <class F>
    std::optional<V> compute(const K& key, F& f);
    [[nodiscard]] fill_lease begin_fill(const K& key);
    bool fill(fill_lease lease, K key, V value, std::optional<duration> ttl);
    void abandon(fill_lease lease) noexcept;

    [[nodiscard]] cache_stats stats() const;
    [[nodiscard]] replacement_report replacement() const;
    [[nodiscard]] std::optional<double> estimated_hit_ratio_at(std::size_t entries) const;
    [[nodiscard]] room held() const noexcept { return budget_.held(); }
    [[nodiscard]] std::vector<std::pair<K, V>> ordered(bool hottest_first, std::size_t count) const;
    template <class Encode>
    void snapshot(std::ostream& out, Encode& encode) const;
    template <class Decode>
    std::size_t restore(std::istream& in, Decode& decode);
    [[nodiscard]] std::size_t memory_usage() const;
    [[nodiscard]] bool is_consistent() const;

private:
    enum class outcome : std::uint8_t { stored, refused, unwanted };
    enum class attempt : std::uint8_t { stored, unwanted, no_room, stalled, hopeless, busy };
    static constexpr std::size_t kept_at_a_time = 32;

    struct free_cells {
        void operator()(table_cell* cells) const noexcept { ::operator delete(cells, std::align_val_t{64}); }
    };
    /// In lines of their own.
    [[nodiscard]] static table_cell* make_cells(std::size_t count) {
        constexpr std::size_t in_a_line = 64 / sizeof(table_cell);
        const std::size_t rounded = (count + in_a_line - 1) / in_a_line * in_a_line;
        void* const memory = ::operator new(rounded * sizeof(table_cell), std::align_val_t{64});
        return std::uninitialized_value_construct_n(static_cast<table_cell*>(memory), rounded) - rounded;
    }

    struct epoch_pin {
        const epoch::guard guard = epoch::pin();
    };

    /// What look-ups count, a cell a thread.
    struct looked_up {
        std::atomic<std::uint64_t> hits{0}, misses{0};
    };

    [[nodiscard]] checked_options checked() const noexcept;
    [[nodiscard]] shard_setup setup_of_shards() const noexcept;
    [[nodiscard]] std::size_t bytes_of_a_table() const noexcept;
    [[nodiscard]] static std::int64_t count_of(time_point at) noexcept {
        return at.time_since_epoch().count();
    }
    [[nodiscard]] std::int64_t now() const noexcept { return count_of(clock_->now()); }
    /// The time for what is written: nobody asks it unless something ends.
    [[nodiscard]] std::int64_t now_for_writing(std::optional<duration> ttl) noexcept;
    [[nodiscard]] std::int64_t now_if_anything_ends() const noexcept {
        return anything_ends_.load(std::memory_order_relaxed) ? now() : 0;
    }
    [[nodiscard]] gone_list gone() const noexcept { return gone_list(desk_); }
    [[nodiscard]] shard_type& shard_of(std::uint64_t hash) const noexcept {
        return *shards_[shard_number(hash)];
    }
    [[nodiscard]] std::size_t shard_number(std::uint64_t hash) const noexcept {
        constexpr unsigned others = 40;  // what the index takes: for the group, and for the tag
        return static_cast<std::size_t>(hash >> others) & last_shard_;
    }
    /// What every part of this cache takes for the key's hash. Other caches, and other runs, have others: who
    /// chooses keys cannot choose what collides in the index or in the policy's memory.
    template <class Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return seeded(unseeded(key));
    }
    template <class Q>
    [[nodiscard]] std::uint64_t unseeded(const Q& key) const {
        if constexpr (std::is_integral_v<K> && std::is_same_v<Hash, levee::hash<K>> &&
                      sizeof(K) <= sizeof(std::uint64_t)) {
            return static_cast<std::uint64_t>(static_cast<K>(key));  // `seeded` mixes integers well enough
        } else {
            return finalised_hash(hash_, key);
        }
    }
    [[nodiscard]] std::uint64_t seeded(std::uint64_t hash) const noexcept {
        __extension__ using u128 = unsigned __int128;
        const u128 product = static_cast<u128>(hash ^ seed_) * multiplier_;
        return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
    }
    template <class Q>
    [[nodiscard]] by_key<Q, Eq> probe(const Q& key) const {
        return {hash_of(key), key, equal_};
    }

    // The look-up takes hash and key apart, and hands what it has to functions that are not inlined by value:
    // so it stays in registers, and many look-ups overlap. A `by_key` in memory, copied as a whole from parts
    // just written, cost as much as all else together.

    // Parts of `copy_of`.
    LEVEE_LOOK_UP V copied(const group_table::place& found) {
        found.reference();
        count_look_up(&looked_up::hits);
        return shard_type::small_type::value_in(found.slot).load(std::memory_order_acquire);
    }
    LEVEE_LOOK_UP std::optional<V> copy_of_mortal(const K& key, std::uint64_t hash, std::uintptr_t word,
                                                  quick_pin& pinned);
    [[gnu::noinline]] std::optional<V> copy_of_less_likely(K key, std::uintptr_t word);
    [[gnu::noinline]] std::optional<V> copy_of_mortal_less_likely(K key, std::uintptr_t word);
    [[gnu::noinline]] std::optional<V> copy_carefully(K key);

    enum class seen : std::uint8_t { nothing, ended, live };

    /// Asks `look(value, place)`, or with `life` and `use` if entries have them, pinned, whether the entry is
    /// live; `use` is null if it is not kept.
    template <class Pin, class Q, class Look>
    LEVEE_LOOK_UP seen with_entry(std::uint64_t hash, const Q& key, Look&& look) const;
    struct moving_entry {
        const group_table* table = nullptr;  // null: there is none
        group_table::place found{};
        const node<K, V>* at = nullptr;
    };
    template <class Q>
    [[gnu::noinline]] moving_entry find_on_the_move(std::uint64_t hash, const Q& key) const;

    template <class Pin, class Q, class Now, class Look>
    LEVEE_LOOK_UP bool find_hashed(std::uint64_t hash, const Q& key, Now at, Look& look);
    /// Whether an entry of these times has ended; `use` may be null if there is no time to idle.
    LEVEE_LOOK_UP bool has_ended(std::int64_t life, std::int64_t* use, std::int64_t at) const noexcept;
    LEVEE_LOOK_UP void count_look_up(std::atomic<std::uint64_t> looked_up::* what) noexcept;
    [[gnu::noinline]] void count_without_cell(std::atomic<std::uint64_t> looked_up::* what) noexcept;
    template <class Q>
    [[gnu::noinline]] bool outlives(std::uint64_t hash, const Q& key, std::int64_t at);

    // The live entry; an expired one is removed and is none.
    template <class Q>
    [[nodiscard]] entry_id live_locked(shard_type& where, const by_key<Q, Eq>& wanted, std::int64_t at,
                                       gone_list& gone);

    [[nodiscard]] draft_type make_draft(std::uint64_t hash, K key, V value) const;

    // Stores `fresh` if `wanted(shard, old)`, asked under the lock, still says so when there is room; `old`
    // is the live entry of its key or `no_entry`.
    template <class Wanted>
    outcome install(draft_type& fresh, std::optional<duration> ttl, Wanted wanted, gone_list& gone);
    struct under_one_lock;
    template <class Wanted>
    attempt try_install(reservation& held, room& need, draft_type& fresh, std::optional<duration> ttl,
                        Wanted& wanted, gone_list& gone);
    [[nodiscard]] bool wait_for_readers(shard_type& here, reader_patience& patience) noexcept;
    template <class Wanted>
    outcome refuse(draft_type& fresh, Wanted& wanted, gone_list& gone);
    bool evict_elsewhere(reservation& held, room need, const shard_type& here, gone_list& gone);

    void shrink(gone_list& gone);
    bool expire_all(shard_type& where, std::int64_t at, gone_list& gone, reservation* held);
    template <class Visit>
    void visit_all(shard_type& where, Visit&& visit) const;

    class kept_entry;
    struct ranked_entry {
        entry_id id;
        std::uint32_t hash;  // the index's: that the id does not name another entry by now
    };
    [[nodiscard]] std::vector<ranked_entry> ordered_in(shard_type& where, bool hottest_first,
                                                       std::size_t count) const;
    template <class Visit>
    void visit_ordered(bool hottest_first, std::size_t count, Visit&& visit) const;

    class compute_watch;
    template <class Q, class Look>
    bool use_quietly(const by_key<Q, Eq>& wanted, Look& look) const;
    template <class Make>
    [[nodiscard]] V lead(const by_key<K, Eq>& wanted, flight& loading, std::uint64_t lease, Make& make,
                         gone_list& gone);
    static void succeed(flight& loading, const V& answer) noexcept;
    template <class Wanted>
    bool remove(const by_key<K, Eq>& key, Wanted wanted, gone_list& gone);
    void refuse_recursion(const by_key<K, Eq>& wanted) const {
        if (running_load<K>(this, wanted.hash, wanted.key, equal_) != nullptr) {
            throw_recursive_load();
        }
    }

    const options_type options_;
    const std::shared_ptr<removal_desk<K, V>> desk_;
    [[no_unique_address]] const Hash hash_;
    [[no_unique_address]] const Eq equal_;
    const levee::clock* const clock_;
    const std::int64_t time_to_idle_;  // `never`: there is none
    const std::uint64_t seed_ = random_seed();
    const std::uint64_t multiplier_ = splitmix64(seed_)() | 1;
    const std::size_t shard_total_;
    const std::size_t last_shard_;                           // their total is a power of two
    const std::unique_ptr<table_cell[], free_cells> cells_;  // a shard's at its number
    const table_arena arena_;
    std::vector<std::unique_ptr<shard_type>> shards_{};
    thread_cells<looked_up> looked_up_{};
    looked_up looked_up_without_cell_{};
    // Set, relaxed, before the lock is taken to store the first entry that ends. Who misses that treats an
    // entry as one that does not end, as if the call had come before its time.
    std::atomic<bool> anything_ends_;
    alignas(64) budget budget_;  // written often
};

}  // namespace levee::local_detail

#include "levee/local/detail/engine_compute.hpp"
#include "levee/local/detail/engine_entries.hpp"
#include "levee/local/detail/engine_install.hpp"
#include "levee/local/detail/engine_order.hpp"
#include "levee/local/detail/engine_sweeps.hpp"
#include "levee/local/detail/engine_whole.hpp"
