// cache over its levels: what a hit costs beside local_cache's, and what loads cost together.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/core/random.hpp"
#include "levee/local/local_cache.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"

namespace {

using namespace std::chrono_literals;
using key = std::uint64_t;

constexpr std::size_t entries = 1'024;

const std::vector<key>& keys() {
    static const std::vector<key> drawn = [] {
        levee::splitmix64 random(1);
        std::vector<key> all(std::size_t{1} << 14U);
        for (key& each : all) {
            each = levee::uniform_below(random, entries);
        }
        return all;
    }();
    return drawn;
}

template <class Look>
void look_up(benchmark::State& state, Look look) {
    std::size_t at = static_cast<std::size_t>(state.thread_index()) * 977;
    for (auto _ : state) {
        benchmark::DoNotOptimize(look(keys()[++at & (keys().size() - 1)]));
    }
}

levee::local_cache<key, key>& plain_cache() {
    static levee::local_cache<key, key> cache({.max_entries = 4 * entries, .time_to_live = 1h});
    static const bool is_full = [] {
        for (key k = 0; k < entries; ++k) {
            cache.put(k, k);
        }
        return true;
    }();
    static_cast<void>(is_full);
    return cache;
}

levee::runtime& threads() {
    static levee::runtime of(1);
    return of;
}

enum class levels { one, two };

levee::cache<key, key>& cache_of(levels how) {
    const auto made = [](levels wanted) {
        levee::cache_options<key, key> options{.local = {.max_entries = 4 * entries},
                                               .defaults = {.ttl = 1h}};
        options.executor = threads().get_executor();
        if (wanted == levels::two) {
            options.remote = std::make_shared<levee::memory_store>();
            options.backplane = std::make_shared<levee::memory_backplane>();
        }
        auto filled = std::make_unique<levee::cache<key, key>>(std::move(options));
        for (key k = 0; k < entries; ++k) {
            filled->put(k, k);
        }
        return filled;
    };
    static const auto one = made(levels::one);
    static const auto two = made(levels::two);
    return how == levels::one ? *one : *two;
}

void local_get(benchmark::State& state) {
    look_up(state, [](key k) { return plain_cache().get(k); });
}
BENCHMARK(local_get)
    ->Name("cache hit/reference local_cache get, with a time to live")
    ->Threads(1)
    ->Threads(2);

void try_get(benchmark::State& state, levels how) {
    look_up(state, [how](key k) { return cache_of(how).try_get(k); });
}
BENCHMARK_CAPTURE(try_get, one, levels::one)->Name("cache hit/try_get")->Threads(1)->Threads(2);
BENCHMARK_CAPTURE(try_get, two, levels::two)
    ->Name("cache hit/try_get, L2 and backplane")
    ->Threads(1)
    ->Threads(2);

void get(benchmark::State& state, levels how) {
    look_up(state, [how](key k) { return cache_of(how).get(k); });
}
BENCHMARK_CAPTURE(get, one, levels::one)->Name("cache hit/get")->Threads(1)->Threads(2);
BENCHMARK_CAPTURE(get, two, levels::two)->Name("cache hit/get, L2 and backplane")->Threads(1)->Threads(2);

void get_or_load(benchmark::State& state, levels how) {
    look_up(state,
            [how](key k) { return cache_of(how).get_or_load(k, [](key missing) { return missing; }); });
}
BENCHMARK_CAPTURE(get_or_load, two, levels::two)
    ->Name("cache hit/get_or_load, L2 and backplane")
    ->Threads(1)
    ->Threads(2);

/// A completion handler on an io_context that this thread runs.
struct counted {
    using executor_type = boost::asio::io_context::executor_type;
    executor_type executor;
    key* sum;
    [[nodiscard]] executor_type get_executor() const noexcept { return executor; }
    void operator()(const std::exception_ptr& /*failure*/, std::optional<key> value) const { *sum += *value; }
};

void post_round_trip(benchmark::State& state) {
    boost::asio::io_context context(1);
    key sum = 0;
    std::size_t at = 0;
    for (auto _ : state) {
        const key k = keys()[++at & (keys().size() - 1)];
        const counted handler{context.get_executor(), &sum};
        boost::asio::post(context, [handler, k] { handler(nullptr, k); });
        context.run();
        context.restart();
    }
    benchmark::DoNotOptimize(sum);
}
BENCHMARK(post_round_trip)->Name("cache asynchronous hit/reference asio::post and run");

void async_hit(benchmark::State& state) {
    boost::asio::io_context context(1);
    auto& cache = cache_of(levels::two);
    key sum = 0;
    std::size_t at = 0;
    const auto load = [](key missing) { return missing; };
    for (auto _ : state) {
        const key k = keys()[++at & (keys().size() - 1)];
        cache.async_get_or_load(k, load, counted{context.get_executor(), &sum});
        context.run();
        context.restart();
    }
    benchmark::DoNotOptimize(sum);
}
BENCHMARK(async_hit)->Name("cache asynchronous hit/async_get_or_load");

/// A key that is loaded each time: what the flight, the lease and the fill cost over a loader that costs
/// nothing.
void miss(benchmark::State& state, levels how) {
    auto& cache = cache_of(how);
    const levee::entry_options lives{.ttl = 1h};
    key k = 1U << 30U;
    for (auto _ : state) {
        benchmark::DoNotOptimize(cache.get_or_load(++k, [](key missing) { return missing; }, lives));
    }
}
BENCHMARK_CAPTURE(miss, one, levels::one)->Name("cache miss/get_or_load, L1 alone");
BENCHMARK_CAPTURE(miss, two, levels::two)->Name("cache miss/get_or_load, with a lease of memory_store");

/// A hot key that expires while 8 threads ask for it: its load takes 200 ms. One iteration is one expiry; its
/// time is the 99th percentile of the time inside a call, over 400 ms of calls.
void stampede(benchmark::State& state, levee::duration stale_while_revalidate) {
    const auto blocking = std::make_shared<boost::asio::thread_pool>(1);
    levee::cache<key, key> cache({.local = {.max_entries = entries},
                                  .executor = threads().get_executor(),
                                  .blocking_executor = blocking->get_executor()});
    std::atomic<std::uint64_t> loads{0};
    const auto load = levee::detachable([&](key k) {
        ++loads;
        std::this_thread::sleep_for(200ms);  // the database
        return k;
    });
    const levee::entry_options lives{
        .ttl = 1ms, .ttl_jitter = 0.0, .stale_while_revalidate = stale_while_revalidate};
    std::uint64_t expiries = 0;
    for (auto _ : state) {
        cache.put(1, 1, lives);
        const std::uint64_t before = loads;
        levee::histogram all;
        std::mutex mutex;                   // guards `all`
        std::this_thread::sleep_for(10ms);  // now it has expired, for the coarse clock, too
        const levee::entry_options reload{
            .ttl = 1h, .ttl_jitter = 0.0, .stale_while_revalidate = stale_while_revalidate};
        std::vector<std::thread> callers;
        for (int i = 0; i < 8; ++i) {
            callers.emplace_back([&] {
                levee::histogram mine;
                for (const auto until = std::chrono::steady_clock::now() + 400ms;;) {
                    const auto began = std::chrono::steady_clock::now();
                    if (began >= until) {
                        break;
                    }
                    benchmark::DoNotOptimize(cache.get_or_load(1, load, reload));
                    mine.record(
                        static_cast<std::uint64_t>((std::chrono::steady_clock::now() - began).count()));
                    std::this_thread::yield();
                }
                const std::lock_guard lock(mutex);
                all += mine;
            });
        }
        for (std::thread& each : callers) {
            each.join();
        }
        if (loads != before + 1) {
            state.SkipWithError("more than one load, or none");
            break;
        }
        ++expiries;
        state.SetIterationTime(static_cast<double>(*all.value_at_percentile(99.0)) * 1e-9);
    }
    state.counters["loads per expiry"] =
        expiries == 0 ? 0.0 : static_cast<double>(loads) / static_cast<double>(expiries);
    blocking->join();
}
BENCHMARK_CAPTURE(stampede, served, 1min)
    ->Name("cache stampede/p99 inside a call, 8 threads, 200 ms load, stale while revalidate")
    ->UseManualTime()
    ->Iterations(2);

}  // namespace
