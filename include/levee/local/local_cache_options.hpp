/// What a local cache is told when it is made.
#pragma once

#include <cstddef>
#include <functional>

#include "levee/core/clock.hpp"
#include "levee/local/removal_cause.hpp"

namespace levee {

/// How big a local cache may grow, how long its entries live, and whom it tells. Checked when the cache is
/// made: what is out of range throws std::invalid_argument naming the field, the value and the range.
///
/// Essential: one of the two bounds; both may be set, and then both hold.
template <class K, class V>
struct local_cache_options {
    /// Entries held at most, expired ones that nothing has come across yet included. Zero: not bounded by
    /// entries (then `max_weight` must be set).
    std::size_t max_entries = 0;

    /// Sum of the entries' weights at most, in the weigher's unit. Zero: not bounded by weight. Needs
    /// `weigher`.
    std::size_t max_weight = 0;

    /// An entry's weight, for instance its bytes; asked once, before the value is stored, off every lock, by
    /// several threads at a time. An entry of weight zero is pinned: never evicted, but it counts in
    /// `max_entries`. Null: each weighs 1.
    std::function<std::size_t(const K&, const V&)> weigher{};

    /// An entry's life from the moment it is written. Zero or duration::max(): it does not end.
    duration time_to_live{};

    /// An entry's life from its last use, reading or writing. Zero or duration::max(): it does not end.
    duration time_to_idle{};

    /// Shortens each time to live by a random share in [0, ttl_jitter), so that what was written together
    /// does not expire together. In [0, 1). Never lengthens a life; does not touch `time_to_idle`. Zero: off.
    double ttl_jitter = 0.0;

    /// How long a caller of `get_or_compute` waits for another's `make`, in real time; then errc::timeout.
    /// 30 s is a common limit for requests. Zero: it does not wait. duration::max(): as long as it takes.
    duration compute_timeout = std::chrono::seconds(30);

    /// Told each removed entry, once, on the thread that removed it or by `executor` (several at a time), off
    /// every lock; it may use the cache. What it throws is swallowed and counted
    /// (`cache_stats::listener_failures`). Null: nobody is told.
    std::function<void(const K&, const V&, removal_cause)> on_removal{};

    /// Where `on_removal` is called, for listeners that take their time: is given, off every lock, a function
    /// to call once, soon, from any thread, also after the cache was destroyed. For instance
    /// `[e](std::function<void()> tell) { asio::post(e, std::move(tell)); }`. When it throws, the thread that
    /// removed calls the listener after all; of what it drops nobody is told. Null: that thread always does.
    std::function<void(std::function<void()>)> executor{};

    /// Whose time entries live by; must outlive the cache. Null: `clock::coarse()`, at most one tick late.
    const levee::clock* clock = nullptr;

    /// Locks the index is split over; rounded up to a power of two, at most 4096. 16 keeps a handful of
    /// threads apart. Caches below 512 entries a shard use fewer, since each shard chooses its victims by
    /// itself and small shares choose worse. How many entries `max_weight` alone will let in is not known:
    /// give a cache for less than a few thousand of them fewer shards. Zero is refused.
    std::size_t shards = 16;
};

}  // namespace levee
