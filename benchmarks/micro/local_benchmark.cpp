// local_cache beside what one writes oneself and what Debian has. Reads and mixes: 1 M entries u64 → u64.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/random.hpp"
#include "micro/local_rivals.hpp"

namespace {

using namespace levee::rivals;

constexpr std::size_t entries = 1'000'000;
constexpr std::size_t draws = std::size_t{1} << 21;

/// Scattered over the key space: with 0, 1, 2, ... std::hash, the identity, would lay out its table in order.
key nth_key(std::size_t n) {
    return levee::hash_mix(n + 1);
}

/// Ranks drawn from [0, universe) by Zipf's law with exponent 0.99, the hottest ranks scattered.
std::vector<key> zipf_keys(std::size_t universe) {
    std::vector<double> cumulative(universe);
    double sum = 0;
    for (std::size_t rank = 0; rank < universe; ++rank) {
        sum += 1.0 / std::pow(static_cast<double>(rank + 1), 0.99);
        cumulative[rank] = sum;
    }
    levee::xoshiro256 random(1);
    std::vector<key> keys(draws);
    for (key& k : keys) {
        const double at = levee::uniform_unit(random) * sum;
        k = nth_key(static_cast<std::size_t>(std::upper_bound(cumulative.begin(), cumulative.end(), at) -
                                             cumulative.begin()));
    }
    return keys;
}

std::vector<key> uniform_keys() {
    levee::xoshiro256 random(2);
    std::vector<key> keys(draws);
    for (key& k : keys) {
        k = nth_key(levee::uniform_below(random, entries));
    }
    return keys;
}

const std::vector<key>& keys_of(char kind) {
    static const std::vector<key> zipf = zipf_keys(entries);
    static const std::vector<key> uniform = uniform_keys();
    static const std::vector<key> one(draws, nth_key(0));
    switch (kind) {
        case 'z':
            return zipf;
        case 'u':
            return uniform;
        default:
            return one;
    }
}

/// One cache of each kind and state, for all threads and repetitions. `Churned`: it has evicted as many
/// as it holds before it got the keys that are asked.
template <class Cache, bool Churned>
Cache& filled() {
    static const auto cache = [] {
        auto made = std::make_unique<Cache>(entries);
        for (std::size_t n = Churned ? 2 * entries : entries; n-- > 0;) {
            made->put(nth_key(n), n);
        }
        for (std::size_t n = 0; Churned && n < entries; ++n) {  // CLOCK may have kept others
            made->put(nth_key(n), n);
        }
        return made;
    }();
    return *cache;
}

std::size_t first_draw(const benchmark::State& state) {
    return static_cast<std::size_t>(state.thread_index()) * (draws / 3);
}

template <class Cache, char Keys, bool Churned>
void get(benchmark::State& state) {
    Cache& cache = filled<Cache, Churned>();
    const std::vector<key>& keys = keys_of(Keys);
    std::size_t i = first_draw(state);
    key sum = 0;
    for (auto _ : state) {
        if (const auto found = cache.get(keys[i++ % draws])) {
            sum += *found;
        }
    }
    benchmark::DoNotOptimize(sum);
}

/// `Writes` in a hundred are puts of keys that are there.
template <class Cache, int Writes>
void mix(benchmark::State& state) {
    Cache& cache = filled<Cache, true>();
    const std::vector<key>& keys = keys_of('z');
    std::size_t i = first_draw(state);
    levee::xoshiro256 random(static_cast<std::uint64_t>(state.thread_index()));
    key sum = 0;
    for (auto _ : state) {
        const key k = keys[i++ % draws];
        if (random() % 100 < Writes) {
            cache.put(k, i);
        } else if (const auto found = cache.get(k)) {
            sum += *found;
        }
    }
    benchmark::DoNotOptimize(sum);
}

/// Zipf over ten times the capacity: what is not there is put. A tenth of the entries, since of ten times as
/// many keys the draws would name no more than fit, and nothing would be missed once all were put.
template <class Cache>
void get_or_insert(benchmark::State& state) {
    static const auto cache = std::make_unique<Cache>(entries / 10);
    const std::vector<key>& keys = keys_of('z');
    // Goes on where the last repetition ended: the same short piece again would soon be there as a whole.
    static std::array<std::size_t, 2> ends{};
    std::size_t& end = ends.at(static_cast<std::size_t>(state.thread_index()));
    std::size_t i = end != 0 ? end : first_draw(state);
    std::size_t misses = 0;
    for (auto _ : state) {
        const key k = keys[i++ % draws];
        if (!cache->get(k)) {
            cache->put(k, k);
            ++misses;
        }
    }
    end = i;
    state.counters["misses"] =
        benchmark::Counter(static_cast<double>(misses), benchmark::Counter::kAvgIterations);
}

/// New keys into a full cache; the slowest of them as counters, in ns.
template <class Cache>
void insert_at_capacity(benchmark::State& state) {
    static Cache& cache = filled<Cache, true>();
    static std::uint64_t next = std::uint64_t{1} << 48;
    std::vector<double> times;
    times.reserve(1 << 20);
    for (auto _ : state) {
        const auto begin = std::chrono::steady_clock::now();
        cache.put(nth_key(next), next);
        ++next;
        times.push_back(
            std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(times.begin(), times.end());
    state.counters["p99.99"] = times[times.size() - 1 - times.size() / 10'000];
    state.counters["max"] = times.back();
}

/// 24-byte keys and 100-byte values, visited.
struct text_flat_map {
    boost::unordered_flat_map<std::string, std::array<char, 100>, levee::hash<std::string>> map;
    void put(std::string k, const std::array<char, 100>& v) { map.insert_or_assign(std::move(k), v); }
    bool visit(const std::string& k, auto&& f) {
        const auto at = map.find(k);
        return at != map.end() && (f(at->second), true);
    }
};
struct text_levee {
    levee::local_cache<std::string, std::array<char, 100>> cache{{.max_entries = entries}};
    void put(std::string k, const std::array<char, 100>& v) { cache.put(std::move(k), v); }
    bool visit(const std::string& k, auto&& f) { return cache.visit(k, f); }
};
std::string text_key(key k) {
    const std::string digits = std::to_string(k);
    return std::string(24 - digits.size(), '0') + digits;
}
template <class Cache>
void visit_text(benchmark::State& state) {
    static const auto cache = [] {
        auto made = std::make_unique<Cache>();
        for (std::size_t n = 0; n < entries; ++n) {
            made->put(text_key(nth_key(n)), {});
        }
        return made;
    }();
    static const auto keys = [] {
        std::vector<std::string> made;
        for (std::size_t i = 0; i < draws / 4; ++i) {
            made.push_back(text_key(keys_of('z')[i]));
        }
        return made;
    }();
    std::size_t i = first_draw(state);
    std::size_t sum = 0;
    for (auto _ : state) {
        cache->visit(keys[i++ % keys.size()],
                     [&](const std::array<char, 100>& v) { sum += v[50] == 0 ? 1U : 0U; });
    }
    benchmark::DoNotOptimize(sum);
}

template <class Cache>
void bytes_an_entry(benchmark::State& state) {
    Cache& cache = filled<Cache, false>();
    cache.cache.run_pending_work();
    for (auto _ : state) {
        benchmark::DoNotOptimize(cache.cache.estimated_size());
    }
    state.counters["bytes_an_entry"] =
        static_cast<double>(cache.cache.memory_usage()) / static_cast<double>(cache.cache.estimated_size());
}

using map64 = sharded<flat_map, 6>;
using list_lru1 = sharded<list_lru, 0>;
using list_lru64 = sharded<list_lru, 6>;
using slab_lru64 = sharded<slab_lru, 6>;

void one_and_two(benchmark::internal::Benchmark* b) {
    b->Threads(1)->Threads(2)->UseRealTime();
}
#define ROW(function, name) BENCHMARK(function)->Name(name)->Apply(one_and_two)

// GET, Zipf 0.99.
ROW((get<flat_map, 'z', false>), "local_get_zipf/reference_flat_map_no_lock");
ROW((get<levee_cache, 'z', false>), "local_get_zipf/local_cache");
ROW((get<levee_cache, 'z', true>), "local_get_zipf/local_cache_at_capacity");
ROW((get<map64, 'z', false>), "local_get_zipf/flat_map_64_mutexes");
ROW((get<list_lru1, 'z', false>), "local_get_zipf/list_lru_1_mutex");
ROW((get<list_lru64, 'z', false>), "local_get_zipf/list_lru_64_mutexes");
ROW((get<slab_lru64, 'z', false>), "local_get_zipf/slab_lru_64_mutexes");
ROW((get<flat_map_and_clock, 'z', false>), "local_get_zipf_ttl/reference_flat_map_and_coarse_clock");
ROW((get<levee_cache_with_ttl, 'z', false>), "local_get_zipf_ttl/local_cache_ttl_5min");
ROW((get<flat_map, 'u', false>), "local_get_uniform/reference_flat_map_no_lock");
ROW((get<levee_cache, 'u', false>), "local_get_uniform/local_cache");
ROW((get<flat_map, '1', false>), "local_get_one_key/reference_flat_map_no_lock");
ROW((get<levee_cache, '1', false>), "local_get_one_key/local_cache");
#if defined(LEVEE_BENCHMARK_TBB)
ROW((get<tbb_map, 'z', false>), "local_get_zipf/tbb_concurrent_hash_map");
ROW((get<tbb_lru, 'z', false>), "local_get_zipf/tbb_concurrent_lru_cache");
ROW((get_or_insert<tbb_lru>), "local_get_or_insert/tbb_concurrent_lru_cache");
#endif
#if defined(LEVEE_BENCHMARK_CUCKOO)
ROW((get<cuckoo_map, 'z', false>), "local_get_zipf/libcuckoo");
#endif
ROW(visit_text<text_flat_map>, "local_visit_text/reference_flat_map_no_lock");
ROW(visit_text<text_levee>, "local_visit_text/local_cache");

// Against the best bounded rival.
ROW((mix<slab_lru64, 5>), "local_mix_95_5/reference_slab_lru_64_mutexes");
ROW((mix<levee_cache, 5>), "local_mix_95_5/local_cache");
ROW((mix<list_lru64, 5>), "local_mix_95_5/list_lru_64_mutexes");
ROW((mix<slab_lru64, 25>), "local_mix_75_25/reference_slab_lru_64_mutexes");
ROW((mix<levee_cache, 25>), "local_mix_75_25/local_cache");
ROW((mix<list_lru64, 25>), "local_mix_75_25/list_lru_64_mutexes");
ROW(get_or_insert<slab_lru64>, "local_get_or_insert/reference_slab_lru_64_mutexes");
ROW(get_or_insert<levee_cache>, "local_get_or_insert/local_cache");
ROW(get_or_insert<list_lru64>, "local_get_or_insert/list_lru_64_mutexes");

BENCHMARK(insert_at_capacity<slab_lru64>)
    ->Name("local_insert_at_capacity/reference_slab_lru_64_mutexes")
    ->UseRealTime();
BENCHMARK(insert_at_capacity<list_lru64>)
    ->Name("local_insert_at_capacity/list_lru_64_mutexes")
    ->UseRealTime();
BENCHMARK(insert_at_capacity<levee_cache>)->Name("local_insert_at_capacity/local_cache")->UseRealTime();
BENCHMARK(bytes_an_entry<levee_cache>)->Name("local_memory/local_cache")->UseRealTime();
BENCHMARK(bytes_an_entry<levee_cache_with_ttl>)->Name("local_memory/local_cache_ttl")->UseRealTime();
BENCHMARK(bytes_an_entry<levee_cache_with_all>)
    ->Name("local_memory/local_cache_ttl_tti_weights")
    ->UseRealTime();

}  // namespace
