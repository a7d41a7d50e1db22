// local_cache beside what one writes oneself: a list and an unordered_map (LRU) behind one mutex.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"

namespace {

using key = std::uint64_t;

/// LRU behind one mutex.
class list_lru {
public:
    explicit list_lru(std::size_t capacity) : capacity_(capacity) { index_.reserve(capacity); }

    std::optional<key> get(key k) {
        const std::lock_guard lock(mutex_);
        const auto at = index_.find(k);
        if (at == index_.end()) {
            return std::nullopt;
        }
        order_.splice(order_.begin(), order_, at->second);
        return at->second->second;
    }
    void put(key k, key value) {
        const std::lock_guard lock(mutex_);
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
    key get_or_compute(key k) {
        if (const auto found = get(k)) {
            return *found;
        }
        put(k, k);
        return k;
    }

private:
    std::mutex mutex_;  // guards all
    const std::size_t capacity_;
    std::list<std::pair<key, key>> order_;
    std::unordered_map<key, std::list<std::pair<key, key>>::iterator> index_;
};

struct levee_cache {
    explicit levee_cache(std::size_t capacity) : cache({.max_entries = capacity}) {}
    std::optional<key> get(key k) { return cache.get(k); }
    void put(key k, key value) { cache.put(k, value); }
    key get_or_compute(key k) {
        return cache.get_or_compute(k, [k] { return k; });
    }
    levee::local_cache<key, key> cache;
};

/// Scattered over the key space: with 0, 1, 2, ... std::hash, the identity, would lay out its table in order.
key nth_key(std::size_t n) {
    return levee::hash_mix(n + 1);
}

/// Keys drawn from [0, universe) by Zipf's law with exponent 0.99.
std::vector<key> zipf_keys(std::size_t universe, std::size_t count, std::uint64_t seed) {
    std::vector<double> cumulative(universe);
    double sum = 0;
    for (std::size_t rank = 0; rank < universe; ++rank) {
        sum += 1.0 / std::pow(static_cast<double>(rank + 1), 0.99);
        cumulative[rank] = sum;
    }
    levee::xoshiro256 random(seed);
    std::vector<key> keys(count);
    for (key& k : keys) {
        const double at = levee::uniform_unit(random) * sum;
        const auto rank = std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
        k = nth_key(static_cast<std::size_t>(rank));
    }
    return keys;
}

constexpr std::size_t draws = 1 << 20;

const std::vector<key>& hot_keys(std::size_t universe) {
    static const std::vector<key> small = zipf_keys(1 << 10, draws, 1);
    static const std::vector<key> large = zipf_keys(1 << 20, draws, 1);
    return universe == (1 << 10) ? small : large;
}

/// One full cache for the threads and repetitions of a benchmark.
template <class Cache>
Cache& filled(std::size_t entries) {
    const auto fill = [](std::size_t size) {
        auto* made = new Cache(size);  // lives as long as the program
        for (std::size_t n = 0; n < size; ++n) {
            made->put(nth_key(n), n);
        }
        return made;
    };
    static Cache& small = *fill(1 << 10);
    static Cache& large = *fill(1 << 20);
    return entries == (1 << 10) ? small : large;
}

/// Each thread begins elsewhere in the drawn keys.
std::size_t first_draw(const benchmark::State& state) {
    return static_cast<std::size_t>(state.thread_index()) * (draws / 3);
}

template <class Cache>
void hit(benchmark::State& state) {
    const auto entries = static_cast<std::size_t>(state.range(0));
    Cache& cache = filled<Cache>(entries);
    const std::vector<key>& keys = hot_keys(entries);
    std::size_t i = first_draw(state);
    for (auto _ : state) {
        benchmark::DoNotOptimize(cache.get(keys[i++ % draws]));
    }
}

template <class Cache>
void miss(benchmark::State& state) {
    const auto entries = static_cast<std::size_t>(state.range(0));
    Cache& cache = filled<Cache>(entries);
    const std::vector<key>& keys = hot_keys(entries);
    std::size_t i = first_draw(state);
    for (auto _ : state) {
        benchmark::DoNotOptimize(cache.get(keys[i++ % draws] + 1));
    }
}

template <class Cache>
void get_or_compute_hit(benchmark::State& state) {
    const auto entries = static_cast<std::size_t>(state.range(0));
    Cache& cache = filled<Cache>(entries);
    const std::vector<key>& keys = hot_keys(entries);
    std::size_t i = first_draw(state);
    for (auto _ : state) {
        benchmark::DoNotOptimize(cache.get_or_compute(keys[i++ % draws]));
    }
}

/// New keys into a full cache: each evicts one.
template <class Cache>
void put_at_capacity(benchmark::State& state) {
    const auto fill = [](std::size_t size) {
        auto* made = new Cache(size);
        for (std::size_t n = 0; n < size; ++n) {
            made->put(nth_key(n), n);
        }
        return made;
    };
    static Cache& small = *fill(1 << 10);  // not the caches that `hit` needs as they are
    static Cache& large = *fill(1 << 20);
    Cache& cache = state.range(0) == (1 << 10) ? small : large;
    key next = (static_cast<key>(state.thread_index()) + 1) << 48;
    static key base = 0;  // so that a repetition does not write the keys of the one before
    next += base;
    for (auto _ : state) {
        cache.put(nth_key(next), next);
        ++next;
    }
    if (state.thread_index() == 0) {
        base += std::size_t{1} << 32;
    }
}

void sizes_and_threads(benchmark::internal::Benchmark* b) {
    b->Arg(1 << 10)->Arg(1 << 20)->Threads(1)->Threads(2)->UseRealTime();
}

BENCHMARK(hit<list_lru>)->Name("local_hit/reference_list_lru_one_mutex")->Apply(sizes_and_threads);
BENCHMARK(hit<levee_cache>)->Name("local_hit/local_cache")->Apply(sizes_and_threads);
BENCHMARK(miss<list_lru>)->Name("local_miss/reference_list_lru_one_mutex")->Apply(sizes_and_threads);
BENCHMARK(miss<levee_cache>)->Name("local_miss/local_cache")->Apply(sizes_and_threads);
BENCHMARK(get_or_compute_hit<list_lru>)
    ->Name("local_get_or_compute_hit/reference_list_lru_one_mutex")
    ->Apply(sizes_and_threads);
BENCHMARK(get_or_compute_hit<levee_cache>)
    ->Name("local_get_or_compute_hit/local_cache")
    ->Apply(sizes_and_threads);
BENCHMARK(put_at_capacity<list_lru>)
    ->Name("local_put_at_capacity/reference_list_lru_one_mutex")
    ->Apply(sizes_and_threads);
BENCHMARK(put_at_capacity<levee_cache>)->Name("local_put_at_capacity/local_cache")->Apply(sizes_and_threads);

}  // namespace
