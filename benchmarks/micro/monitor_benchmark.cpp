// What recording a latency costs, beside the usual ways to do it and the least that could be done.
#include "levee/core/random.hpp"
#include "levee/monitor/percentile_monitor.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace {

namespace log_linear = levee::detail::log_linear;

// Latencies as a service has them, drawn beforehand: most near 1 µs, some a thousand times as long.
constexpr std::size_t latency_count = 4096;

const std::array<std::uint64_t, latency_count>& latencies() {
    static const auto drawn = [] {
        std::array<std::uint64_t, latency_count> made{};
        levee::xoshiro256 random(1);
        for (auto& value : made) {
            value = 800 + uniform_below(random, 400);
            value <<= uniform_below(random, 16) == 0 ? 10 : 0;
        }
        return made;
    }();
    return drawn;
}

// The whole scale as one table, allocated beforehand.
struct table {
    std::array<std::atomic<std::uint64_t>, log_linear::octaves * log_linear::octave_size> counts{};

    std::atomic<std::uint64_t>& at(std::uint64_t value) {
        const unsigned shift = log_linear::top_bit(value) - log_linear::sub_bits;
        return counts[(std::size_t{shift} << log_linear::sub_bits) + (value >> shift)];
    }
};

void add(std::atomic<std::uint64_t>& to) {
    to.store(to.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

template <class Record>
void record_all(benchmark::State& state, Record&& record) {
    const auto& values = latencies();
    std::size_t next = 0;
    for (auto _ : state) {
        record(values[next]);
        next = (next + 1) % latency_count;
    }
}

void bare_store(benchmark::State& state) {
    static thread_local table mine;
    record_all(state, [&](std::uint64_t value) { add(mine.at(value)); });
}

void own_fetch_add(benchmark::State& state) {
    static thread_local table mine;
    record_all(state, [&](std::uint64_t value) { mine.at(value).fetch_add(1, std::memory_order_relaxed); });
}

// As HdrHistogram's atomic form: a shared table, with shared sum and extremes.
void shared_histogram(benchmark::State& state) {
    static table shared;
    static std::atomic<std::uint64_t> total{0}, least{UINT64_MAX}, greatest{0};
    record_all(state, [&](std::uint64_t value) {
        shared.at(value).fetch_add(1, std::memory_order_relaxed);
        total.fetch_add(1, std::memory_order_relaxed);
        auto low = least.load(std::memory_order_relaxed);
        while (value < low && !least.compare_exchange_weak(low, value, std::memory_order_relaxed)) {
        }
        auto high = greatest.load(std::memory_order_relaxed);
        while (value > high && !greatest.compare_exchange_weak(high, value, std::memory_order_relaxed)) {
        }
    });
}

// As HdrHistogram's plain form, one for each thread: count, sum and extremes, no atomics.
void own_hdr_histogram(benchmark::State& state) {
    struct plain {
        std::array<std::int64_t, log_linear::octaves * log_linear::octave_size> counts{};
        std::int64_t total = 0, least = INT64_MAX, greatest = 0;
    };
    static thread_local plain mine;
    record_all(state, [&](std::uint64_t value) {
        const unsigned shift = log_linear::top_bit(value) - log_linear::sub_bits;
        ++mine.counts[(std::size_t{shift} << log_linear::sub_bits) + (value >> shift)];
        ++mine.total;
        const auto latency = static_cast<std::int64_t>(value);
        mine.least = std::min(mine.least, latency);
        mine.greatest = std::max(mine.greatest, latency);
        benchmark::ClobberMemory();
    });
}

void histogram_record(benchmark::State& state) {
    levee::histogram mine;
    record_all(state, [&](std::uint64_t value) { mine.record(value); });
    benchmark::DoNotOptimize(mine.count());
}

levee::percentile_monitor& monitor() {
    static levee::percentile_monitor shared;
    return shared;
}

void handle_record(benchmark::State& state) {
    auto operation = monitor().operation("recorded");
    record_all(state,
               [&](std::uint64_t value) { operation.record(levee::duration(static_cast<long>(value))); });
}

void name_record(benchmark::State& state) {
    record_all(state, [&](std::uint64_t value) {
        monitor().record("recorded by name", levee::duration(static_cast<long>(value)));
    });
}

void two_clock_reads_and_a_store(benchmark::State& state) {
    static thread_local table mine;
    for (auto _ : state) {
        const auto start = std::chrono::steady_clock::now();
        benchmark::ClobberMemory();
        const auto passed = std::chrono::steady_clock::now() - start;
        add(mine.at(static_cast<std::uint64_t>(passed.count())));
    }
}

// The floor of any such measurement.
void two_counter_reads_and_a_store(benchmark::State& state) {
    static thread_local table mine;
    for (auto _ : state) {
        const std::uint64_t start = levee::detail::read_counter();
        benchmark::ClobberMemory();
        add(mine.at(levee::detail::read_counter() - start));
    }
}

void handle_measure(benchmark::State& state) {
    auto operation = monitor().operation("measured");
    for (auto _ : state) {
        operation.measure([] { benchmark::ClobberMemory(); });
    }
}

void read_100_operations(benchmark::State& state) {
    levee::percentile_monitor many;
    for (int i = 0; i < 100; ++i) {
        auto operation = many.operation("operation " + std::to_string(i));
        for (const auto value : latencies()) {
            operation.record(levee::duration(static_cast<long>(value)));
        }
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(many.all_stats());
    }
}

BENCHMARK(bare_store)->Name("monitor_record/reference_bare_store")->ThreadRange(1, 2);
BENCHMARK(handle_record)->Name("monitor_record/handle")->ThreadRange(1, 2);
BENCHMARK(own_fetch_add)->Name("monitor_record/own_table_fetch_add")->ThreadRange(1, 2);
BENCHMARK(shared_histogram)->Name("monitor_record/shared_atomic_histogram")->ThreadRange(1, 2);
BENCHMARK(own_hdr_histogram)->Name("monitor_record/own_hdr_like_histogram")->ThreadRange(1, 2);
BENCHMARK(histogram_record)->Name("monitor_record/own_histogram")->ThreadRange(1, 2);
BENCHMARK(name_record)->Name("monitor_record/by_name")->ThreadRange(1, 2);
BENCHMARK(two_clock_reads_and_a_store)->Name("monitor_measure/reference_clocks_and_store")->ThreadRange(1, 2);
BENCHMARK(two_counter_reads_and_a_store)
    ->Name("monitor_measure/bare_counter_reads_and_store")
    ->ThreadRange(1, 2);
BENCHMARK(handle_measure)->Name("monitor_measure/handle")->ThreadRange(1, 2);
BENCHMARK(read_100_operations)->Name("monitor_read/100_operations");

}  // namespace
