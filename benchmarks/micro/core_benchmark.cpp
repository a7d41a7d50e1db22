// What the hit path pays for core: slots, pins, counters and hashes, beside what they are instead of.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "levee/core/clock.hpp"
#include "levee/core/epoch.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/thread_slots.hpp"

namespace {

void slot_look_up(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(levee::thread_slots::current());
    }
}
BENCHMARK(slot_look_up)->Threads(1)->Threads(2);

void epoch_pin_and_unpin(benchmark::State& state) {
    for (auto _ : state) {
        const auto pinned = levee::epoch::pin();
        benchmark::ClobberMemory();
    }
}
BENCHMARK(epoch_pin_and_unpin)->Threads(1)->Threads(2);

void epoch_nested_pin_and_unpin(benchmark::State& state) {
    const auto outer = levee::epoch::pin();
    for (auto _ : state) {
        const auto pinned = levee::epoch::pin();
        benchmark::ClobberMemory();
    }
}
BENCHMARK(epoch_nested_pin_and_unpin);

// The reference for a pin: what it would cost with a fence of its own.
void reference_seq_cst_fence(benchmark::State& state) {
    for (auto _ : state) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
}
BENCHMARK(reference_seq_cst_fence)->Threads(1)->Threads(2);

void epoch_oldest(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(levee::epoch::oldest());
    }
}
BENCHMARK(epoch_oldest);

void retire_and_collect_64(benchmark::State& state) {
    levee::retire_list list;
    int freed = 0;
    for (auto _ : state) {
        for (int i = 0; i < 64; ++i) {
            list.retire(&freed, [](void* count) { ++*static_cast<int*>(count); });
        }
        list.collect();
    }
    benchmark::DoNotOptimize(freed);
}
BENCHMARK(retire_and_collect_64);

void counter_add(benchmark::State& state) {
    static levee::thread_counter counter;
    for (auto _ : state) {
        counter.add();
    }
}
BENCHMARK(counter_add)->Threads(1)->Threads(2);

void counter_sum(benchmark::State& state) {
    levee::thread_counter counter;
    counter.add();
    for (auto _ : state) {
        benchmark::DoNotOptimize(counter.sum());
    }
}
BENCHMARK(counter_sum);

void reference_shared_fetch_add(benchmark::State& state) {
    static std::atomic<std::uint64_t> counter{0};
    for (auto _ : state) {
        counter.fetch_add(1, std::memory_order_relaxed);
    }
}
BENCHMARK(reference_shared_fetch_add)->Threads(1)->Threads(2);

// Keys come from a small table, so that the compiler cannot fold the hash and the cache holds them.
constexpr std::size_t key_count = 1024;

template <class Key>
std::array<Key, key_count> make_keys();
template <>
std::array<std::uint64_t, key_count> make_keys() {
    std::array<std::uint64_t, key_count> keys{};
    for (std::size_t i = 0; i < key_count; ++i) {
        keys[i] = i;
    }
    return keys;
}
template <>
std::array<std::string, key_count> make_keys() {
    std::array<std::string, key_count> keys;
    for (std::size_t i = 0; i < key_count; ++i) {
        keys[i] = "product:catalogue:" + std::to_string(100'000 + i);  // 24 bytes
    }
    return keys;
}

template <class Hash, class Key>
void hash_of(benchmark::State& state) {
    const auto keys = make_keys<Key>();
    const Hash hash;
    std::size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(levee::finalised_hash(hash, keys[i++ % key_count]));
    }
}
BENCHMARK(hash_of<levee::hash<std::uint64_t>, std::uint64_t>)->Name("hash_of_u64/levee");
BENCHMARK(hash_of<std::hash<std::uint64_t>, std::uint64_t>)->Name("hash_of_u64/std_finalised");
BENCHMARK(hash_of<levee::hash<std::string>, std::string>)->Name("hash_of_24_bytes/levee");

template <class Hash, class Key>
void bare_hash_of(benchmark::State& state) {
    const auto keys = make_keys<Key>();
    const Hash hash;
    std::size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(hash(keys[i++ % key_count]));
    }
}
BENCHMARK(bare_hash_of<std::hash<std::uint64_t>, std::uint64_t>)->Name("hash_of_u64/reference_std");
BENCHMARK(bare_hash_of<std::hash<std::string>, std::string>)->Name("hash_of_24_bytes/reference_std");

void hash_of_bytes(benchmark::State& state) {
    const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state) {
        benchmark::DoNotOptimize(text.data());
        benchmark::DoNotOptimize(levee::hash_bytes(text.data(), text.size()));
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(hash_of_bytes)->Arg(8)->Arg(64)->Arg(1024)->Arg(65536);

void clock_now(benchmark::State& state, const levee::clock& clock) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(clock.now());
    }
}
BENCHMARK_CAPTURE(clock_now, coarse, levee::clock::coarse());
BENCHMARK_CAPTURE(clock_now, precise, levee::clock::precise());

}  // namespace
