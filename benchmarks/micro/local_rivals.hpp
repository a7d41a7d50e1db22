/// What local_cache is compared with: u64 → u64 maps and caches behind one interface, `get` and `put`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "levee/core/hash.hpp"
#include "levee/local/local_cache.hpp"

#if __has_include(<tbb/concurrent_hash_map.h>) && defined(LEVEE_BENCHMARK_TBB)
#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <tbb/concurrent_hash_map.h>
#include <tbb/concurrent_lru_cache.h>
#endif
#if __has_include(<libcuckoo/cuckoohash_map.hh>)
#define LEVEE_BENCHMARK_CUCKOO 1
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#include <libcuckoo/cuckoohash_map.hh>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#endif

namespace levee::rivals {

using key = std::uint64_t;
using hasher = levee::hash<key>;

struct levee_cache {
    explicit levee_cache(std::size_t capacity) : cache({.max_entries = capacity}) {}
    std::optional<key> get(key k) { return cache.get(k); }
    void put(key k, key value) { cache.put(k, value); }
    local_cache<key, key> cache;
};

struct levee_cache_with_ttl {
    explicit levee_cache_with_ttl(std::size_t capacity)
        : cache({.max_entries = capacity, .time_to_live = std::chrono::minutes(5)}) {}
    std::optional<key> get(key k) { return cache.get(k); }
    void put(key k, key value) { cache.put(k, value); }
    local_cache<key, key> cache;
};

/// With all that entries may be given: a life, a time to idle, weights.
struct levee_cache_with_all {
    explicit levee_cache_with_all(std::size_t capacity)
        : cache({.max_entries = capacity,
                 .max_weight = 2 * capacity,
                 .weigher = [](key, key) { return std::size_t{1}; },
                 .time_to_live = std::chrono::minutes(5),
                 .time_to_idle = std::chrono::minutes(5)}) {}
    std::optional<key> get(key k) { return cache.get(k); }
    void put(key k, key value) { cache.put(k, value); }
    local_cache<key, key> cache;
};

/// The limit: no lock, no bound. Several threads may read.
struct flat_map {
    explicit flat_map(std::size_t capacity) { map.reserve(capacity); }
    std::optional<key> get(key k) {
        const auto at = map.find(k);
        return at == map.end() ? std::nullopt : std::optional(at->second);
    }
    void put(key k, key value) { map.insert_or_assign(k, value); }
    boost::unordered_flat_map<key, key, hasher> map;
};

/// The same, and the time, as a life of entries needs it.
struct flat_map_and_clock : flat_map {
    using flat_map::flat_map;
    std::optional<key> get(key k) {
        if (clock::coarse().now() == time_point{}) {
            return std::nullopt;
        }
        return flat_map::get(k);
    }
};

/// Any unlocked part behind 2^Bits mutexes.
template <class Part, int Bits>
class sharded {
public:
    explicit sharded(std::size_t capacity) {
        for (auto& one : shards_) {
            one = std::make_unique<shard>(capacity >> Bits);
        }
    }
    std::optional<key> get(key k) {
        shard& here = shard_of(k);
        const std::lock_guard lock(here.mutex);
        return here.part.get(k);
    }
    void put(key k, key value) {
        shard& here = shard_of(k);
        const std::lock_guard lock(here.mutex);
        here.part.put(k, value);
    }

private:
    struct alignas(64) shard {
        explicit shard(std::size_t capacity) : part(capacity) {}
        std::mutex mutex;
        Part part;
    };
    shard& shard_of(key k) { return *shards_[Bits == 0 ? 0 : hasher{}(k) >> (63 - Bits) >> 1]; }
    std::array<std::unique_ptr<shard>, std::size_t{1} << Bits> shards_;
};

/// LRU as one writes it: std::list and std::unordered_map.
class list_lru {
public:
    explicit list_lru(std::size_t capacity) : capacity_(capacity) { index_.reserve(capacity); }
    std::optional<key> get(key k) {
        const auto at = index_.find(k);
        if (at == index_.end()) {
            return std::nullopt;
        }
        order_.splice(order_.begin(), order_, at->second);
        return at->second->second;
    }
    void put(key k, key value) {
        if (const auto at = index_.find(k); at != index_.end()) {
            at->second->second = value;
            order_.splice(order_.begin(), order_, at->second);
            return;
        }
        if (index_.size() == capacity_) {
            index_.erase(order_.back().first);
            order_.pop_back();
        }
        order_.emplace_front(k, value);
        index_.emplace(k, order_.begin());
    }

private:
    std::size_t capacity_;
    std::list<std::pair<key, key>> order_;
    std::unordered_map<key, std::list<std::pair<key, key>>::iterator> index_;
};

/// LRU well made by hand: a flat map of positions in an array that links its elements.
class slab_lru {
public:
    explicit slab_lru(std::size_t capacity) : slab_(capacity + 1) { index_.reserve(capacity); }
    std::optional<key> get(key k) {
        const auto at = index_.find(k);
        if (at == index_.end()) {
            return std::nullopt;
        }
        to_front(at->second);
        return slab_[at->second].value;
    }
    void put(key k, key value) {
        if (const auto at = index_.find(k); at != index_.end()) {
            slab_[at->second].value = value;
            to_front(at->second);
            return;
        }
        std::uint32_t place = used_ + 1;
        if (place == slab_.size()) {
            place = slab_[0].previous;  // the last one
            index_.erase(slab_[place].k);
            unlink(place);
        } else {
            ++used_;
        }
        slab_[place].k = k;
        slab_[place].value = value;
        link_front(place);
        index_.emplace(k, place);
    }

private:
    struct item {
        key k = 0;
        key value = 0;
        std::uint32_t next = 0;  // 0 is the end of the ring
        std::uint32_t previous = 0;
    };
    void unlink(std::uint32_t at) {
        slab_[slab_[at].previous].next = slab_[at].next;
        slab_[slab_[at].next].previous = slab_[at].previous;
    }
    void link_front(std::uint32_t at) {
        slab_[at].next = slab_[0].next;
        slab_[at].previous = 0;
        slab_[slab_[0].next].previous = at;
        slab_[0].next = at;
    }
    void to_front(std::uint32_t at) {
        if (slab_[0].next != at) {
            unlink(at);
            link_front(at);
        }
    }
    std::vector<item> slab_;
    std::uint32_t used_ = 0;
    boost::unordered_flat_map<key, std::uint32_t, hasher> index_;
};

#if defined(LEVEE_BENCHMARK_TBB)
struct tbb_hash {
    static std::size_t hash(key k) { return hasher{}(k); }
    static bool equal(key a, key b) { return a == b; }
};
struct tbb_map {
    explicit tbb_map(std::size_t capacity) : map(capacity) {}
    std::optional<key> get(key k) {
        decltype(map)::const_accessor found;
        return map.find(found, k) ? std::optional(found->second) : std::nullopt;
    }
    void put(key k, key value) {
        decltype(map)::accessor found;
        map.insert(found, k);
        found->second = value;
    }
    tbb::concurrent_hash_map<key, key, tbb_hash> map;
};
/// Makes values by itself, so that `get` of what is not there stores it, and `put` does no more.
struct tbb_lru {
    explicit tbb_lru(std::size_t capacity) : cache([](key k) { return k; }, capacity) {}
    std::optional<key> get(key k) { return cache[k].value(); }
    void put(key k, key) { (void)cache[k].value(); }
    tbb::concurrent_lru_cache<key, key> cache;
};
#endif

#if defined(LEVEE_BENCHMARK_CUCKOO)
struct cuckoo_map {
    explicit cuckoo_map(std::size_t capacity) : map(capacity) {}
    std::optional<key> get(key k) {
        key value = 0;
        return map.find(k, value) ? std::optional(value) : std::nullopt;
    }
    void put(key k, key value) { map.insert_or_assign(k, value); }
    libcuckoo::cuckoohash_map<key, key, hasher> map;
};
#endif

}  // namespace levee::rivals
