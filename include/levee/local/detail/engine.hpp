/// The machine behind `local_cache`: shards, one budget over all of them, and the ways of reading and
/// writing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/hash.hpp"
#include "levee/local/cache_stats.hpp"
#include "levee/local/detail/option_checks.hpp"
#include "levee/local/detail/shard.hpp"
#include "levee/local/fill_lease.hpp"
#include "levee/local/local_cache_options.hpp"

namespace levee::local_detail {

/// Lock order: the insert gate before a shard's mutex; never two shards at once; a flight's mutex alone.
/// Under a shard's mutex run Eq, allocation, and no other code of the user.
template <class K, class V, class Hash, class Eq>
class engine {
public:
    using shard_type = shard<K, V, Eq>;
    using entry_type = entry<K, V>;
    using entry_ptr = std::shared_ptr<entry_type>;
    using gone_list = removals<K, V>;
    using options_type = local_cache_options<K, V>;

    engine(options_type options, Hash hash, Eq equal);

    // Reading: null is a miss.
    template <class Q>
    [[nodiscard]] entry_ptr find(const Q& key) {
        return find(probe(key), now());
    }
    template <class Q>
    [[nodiscard]] entry_ptr find(const Q& key, time_point at) {
        return find(probe(key), at);
    }
    template <class Q>
    [[nodiscard]] entry_ptr peek(const Q& key) const;
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
    [[nodiscard]] room held() const noexcept { return budget_.held(); }

private:
    enum class outcome : std::uint8_t { stored, refused, unwanted };

    [[nodiscard]] checked_options checked() const noexcept;
    [[nodiscard]] time_point now() const noexcept { return clock_->now(); }
    [[nodiscard]] gone_list gone() const noexcept { return {options_.on_removal, listener_failures_}; }
    [[nodiscard]] shard_type& shard_of(std::uint64_t hash) const noexcept {
        return shards_[shard_bits_ == 0 ? 0 : hash >> (64 - shard_bits_)];
    }
    template <class Q>
    [[nodiscard]] by_key<Q, Eq> probe(const Q& key) const {
        return {finalised_hash(hash_, key), key, equal_};
    }

    // `item` was used.
    void touch_locked(entry_type& item, time_point at) const noexcept {
        item.referenced = true;
        set_idle_end_locked(item, at);
    }
    void set_idle_end_locked(entry_type& item, time_point at) const noexcept {
        const duration idle = options_.time_to_idle;
        const bool idles = idle != duration::zero() && idle != (duration::max)();
        const time_point idle_ends = idles ? after(at, idle) : (time_point::max)();
        item.ends = idle_ends < item.life_ends ? idle_ends : item.life_ends;
    }

    template <class Q>
    [[nodiscard]] entry_ptr find(const by_key<Q, Eq>& wanted, time_point at);

    // The live entry; an expired one is removed and is none.
    template <class Q>
    [[nodiscard]] entry_ptr live_locked(shard_type& where, const by_key<Q, Eq>& wanted, time_point at,
                                        gone_list& gone);

    [[nodiscard]] entry_ptr make_entry(std::uint64_t hash, K key, V value) const;

    // Stores `fresh` if `wanted(shard, old)`, asked under the lock, still says so when there is room; `old`
    // is the live entry of its key or null.
    template <class Wanted>
    outcome install(const entry_ptr& fresh, std::optional<duration> ttl, Wanted wanted, gone_list& gone);
    template <class Wanted>
    outcome try_install(reservation& held, room& need, const entry_ptr& fresh, std::optional<duration> ttl,
                        Wanted& wanted, gone_list& gone);
    template <class Wanted>
    outcome refuse(const entry_ptr& fresh, Wanted& wanted, gone_list& gone);
    bool evict_elsewhere(reservation& held, room need, const shard_type& here, gone_list& gone);

    void shrink(gone_list& gone);
    void sweep(shard_type& where, time_point at, gone_list& gone);
    [[nodiscard]] std::vector<entry_ptr> snapshot(shard_type& where, bool voids_pending) const;

    class compute_watch;
    template <class Make>
    [[nodiscard]] V lead(const by_key<K, Eq>& wanted, flight& loading, std::uint64_t lease, Make& make,
                         gone_list& gone);
    template <class Wanted>
    bool remove(const by_key<K, Eq>& key, Wanted wanted, gone_list& gone);
    void refuse_recursion(const by_key<K, Eq>& wanted) const {
        if (running_load<K>(this, wanted.hash, wanted.key, equal_) != nullptr) {
            throw_recursive_load();
        }
    }

    const options_type options_;
    [[no_unique_address]] const Hash hash_;
    [[no_unique_address]] const Eq equal_;
    const levee::clock* const clock_;
    const std::size_t shard_total_;
    const unsigned shard_bits_;
    const std::unique_ptr<shard_type[]> shards_;
    budget budget_;
    mutable std::atomic<std::uint64_t> listener_failures_{0};
};

}  // namespace levee::local_detail

#include "levee/local/detail/engine_compute.hpp"
#include "levee/local/detail/engine_entries.hpp"
#include "levee/local/detail/engine_install.hpp"
