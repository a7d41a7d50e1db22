// Write-behind beside what it replaces: one-row write-through. Every figure of a pair comes from the same run
// against the same server, which syncs each commit. The journal and the server's data are on one disk.
#include "levee/cache/write_behind.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../tests/support/temp_dir.hpp"
#include "levee/async/runtime.hpp"
#include "levee/cache/write_through.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/store/source_from.hpp"
#include "write_behind_support.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

using namespace levee::benchmarks;

constexpr auto measured_for = 2s;

/// Takes everything at once.
std::shared_ptr<levee::source<key, number>> sink() {
    return levee::source_from<key, number>([](const key&) { return std::optional<number>(); },
                                           [](const levee::write_op<key, number>&) {});
}

levee::write_behind_options<key, number> journaled(const std::string& folder) {
    levee::write_behind_options<key, number> options{.flush_interval = 200ms, .max_pending = 1'000'000};
    options.journal.emplace();
    options.journal->folder = folder;
    return options;
}

void put(benchmark::State& state) {
    static std::unique_ptr<levee::runtime> on;
    static std::unique_ptr<levee::write_behind<key, number>> cache;
    if (state.thread_index() == 0) {
        on = std::make_unique<levee::runtime>(1, 1);
        cache = std::make_unique<levee::write_behind<key, number>>(
            sink(), caches(*on),
            levee::write_behind_options<key, number>{.flush_interval = 100ms, .max_pending = 1'000'000});
    }
    levee::splitmix64 random(static_cast<std::uint64_t>(state.thread_index()) + 1);
    for (auto _ : state) {
        cache->put(static_cast<key>(random() % 10'000), 1);
    }
    if (state.thread_index() == 0) {
        cache.reset();
        on.reset();
    }
}
BENCHMARK(put)->Name("write_behind/put")->UseRealTime();
BENCHMARK(put)->Name("write_behind/put")->Threads(8)->UseRealTime();

/// What a put must do at least: a node in a table that has its room, under a mutex.
class bare_table {
public:
    explicit bare_table(std::size_t keys) { rows_.reserve(keys); }
    void put(key k, number value) {
        const std::lock_guard lock(mutex_);
        rows_.try_emplace(k).first->second.value = value;
    }

private:
    struct row {
        number value = 0;
        std::array<char, sizeof(levee::cache_detail::pending_slot<key, number>) - sizeof(number)> rest{};
    };
    std::mutex mutex_;
    std::unordered_map<key, row> rows_;
};

// The source does not answer for 5 s while puts of new keys come, and the queue has room for all of them.
// Every other one goes to a bare table, measured the same way: what both have is the machine's (threads of
// others that are not preempted before the scheduler's next tick, the first touch of memory).
void put_while_stalled(benchmark::State& state) {
    for (auto _ : state) {
        levee::runtime on(1, 2);
        std::mutex mutex;
        std::condition_variable changed;
        bool is_stalled = true;
        auto to = levee::source_from<key, number>([](const key&) { return std::optional<number>(); },
                                                  [&](const levee::write_op<key, number>&) {
                                                      std::unique_lock lock(mutex);
                                                      changed.wait(lock, [&] { return !is_stalled; });
                                                  });
        levee::write_behind<key, number> cache(to, caches(on),
                                               {.flush_interval = 10ms, .max_pending = 100'000});
        constexpr key puts = 90'000;
        constexpr auto step = 25us;
        bare_table control(puts);
        levee::histogram latency;
        levee::histogram bare;
        const auto measure = [](levee::histogram& of, clock_type::time_point from) {
            const auto now = clock_type::now();
            of.record(static_cast<std::uint64_t>((now - from).count()));
            return now;
        };
        // Each has its slot. One that is late because of those before it waits from its slot on; when it is
        // late because the thread slept too long, all slots after it move.
        const auto begin = clock_type::now();
        auto slot = begin;
        auto ended = begin;
        const auto next_slot = [&] {
            slot += step;
            if (ended < slot) {
                std::this_thread::sleep_until(slot);
                slot = clock_type::now();
            }
        };
        for (key k = 0; k < puts && ended < begin + 5s; ++k) {
            next_slot();
            cache.put(k, k);
            ended = measure(latency, slot);
            next_slot();
            control.put(k, k);
            ended = measure(bare, slot);
        }
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        state.counters["puts"] = static_cast<double>(cache.stats().accepted);
        must_be(cache.stats().blocked == 0, "the queue was full");
        {
            const std::lock_guard lock(mutex);
            is_stalled = false;
        }
        changed.notify_all();
        const auto at = [](const levee::histogram& of, double percentile) {
            return static_cast<double>(of.value_at_percentile(percentile).value_or(0)) / 1e3;
        };
        state.counters["p50_us"] = at(latency, 50);
        state.counters["p99.9_us"] = at(latency, 99.9);
        state.counters["max_us"] = at(latency, 100);
        state.counters["bare_p50_us"] = at(bare, 50);
        state.counters["bare_p99.9_us"] = at(bare, 99.9);
        state.counters["bare_max_us"] = at(bare, 100);
    }
}
BENCHMARK(put_while_stalled)
    ->Name("write_behind/put_while_the_source_stalls_5s")
    ->Iterations(1)
    ->UseManualTime();

/// Writes a second of `writers` threads.
template <class Cache>
double with_threads(Cache& cache, int writers) {
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> total{0};
    std::vector<std::thread> threads;
    const auto begin = clock_type::now();
    for (int t = 0; t < writers; ++t) {
        threads.emplace_back([&, t] {
            levee::splitmix64 random(static_cast<std::uint64_t>(t) + 1);
            std::uint64_t count = 0;
            while (!is_over.load(std::memory_order_relaxed)) {
                cache.put(static_cast<key>(random() % 10'000), 1);
                ++count;
            }
            total += count;
        });
    }
    std::this_thread::sleep_for(measured_for);
    is_over = true;
    for (auto& each : threads) {
        each.join();
    }
    return static_cast<double>(total) / std::chrono::duration<double>(clock_type::now() - begin).count();
}

/// Of `writers` coroutines.
template <class Cache>
double with_coroutines(Cache& cache, levee::runtime& on, int writers) {
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> total{0};
    std::latch ended(writers);
    const auto begin = clock_type::now();
    auto write = [&](int t) -> asio::awaitable<void> {
        levee::splitmix64 random(static_cast<std::uint64_t>(t) + 1);
        std::uint64_t count = 0;
        while (!is_over.load(std::memory_order_relaxed)) {
            co_await cache.async_put(static_cast<key>(random() % 10'000), 1, asio::use_awaitable);
            ++count;
        }
        total += count;
        ended.count_down();
    };
    for (int t = 0; t < writers; ++t) {
        asio::co_spawn(on.get_executor(), write(t), asio::detached);
    }
    std::this_thread::sleep_for(measured_for);
    is_over = true;
    ended.wait();
    return static_cast<double>(total) / std::chrono::duration<double>(clock_type::now() - begin).count();
}

// Write-through, write-behind, write-through again: each a row in PostgreSQL, or a journal record that is
// synced.
void journal_beside_write_through(benchmark::State& state, int writers, bool is_async) {
    if (!levee::tests::postgres_server::is_installed()) {
        state.SkipWithError("no PostgreSQL server is installed");
        return;
    }
    for (auto _ : state) {
        const auto begin = clock_type::now();
        double through = 0.0;
        double behind = 0.0;
        double records_per_sync = 0.0;
        for (int round = 0; round < 2; ++round) {
            levee::runtime on(2, 4);
            {
                levee::write_through<key, number> cache(table(on), caches(on));
                through +=
                    (is_async ? with_coroutines(cache, on, writers) : with_threads(cache, writers)) / 2;
            }
            const levee::tests::temp_dir dir;
            levee::write_behind<key, number> cache(table(on), caches(on), journaled(dir / "journal"));
            behind += (is_async ? with_coroutines(cache, on, writers) : with_threads(cache, writers)) / 2;
            records_per_sync = cache.stats().journal.records_per_sync();
            must_be(cache.close(60s), "not flushed");
        }
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        state.counters["through/s"] = through;
        state.counters["behind/s"] = behind;
        state.counters["ratio"] = behind / through;
        state.counters["records/sync"] = records_per_sync;
    }
}
BENCHMARK_CAPTURE(journal_beside_write_through, threads, 8, false)
    ->Name("write_behind/journal_always_vs_write_through_postgres/threads:8")
    ->Iterations(1)
    ->UseManualTime();
BENCHMARK_CAPTURE(journal_beside_write_through, coroutines, 256, true)
    ->Name("write_behind/journal_always_vs_write_through_postgres/coroutines:256")
    ->Iterations(1)
    ->UseManualTime();

/// Ranks by Zipf's law, by rejection-inversion (Hörmann and Derflinger 1996).
class zipf {
public:
    zipf(double n, double s) : n_(n), s_(s), low_(h(1.5) - 1.0), high_(h(n + 0.5)) {}
    template <class Random>
    key operator()(Random& random) const {
        for (;;) {
            const double u = high_ + levee::uniform_unit(random) * (low_ - high_);
            const double x = inverse(u);
            const double k = std::min(n_, std::max(1.0, std::floor(x + 0.5)));
            if (u >= h(k + 0.5) - std::pow(k, -s_)) {
                return static_cast<key>(k);
            }
        }
    }

private:
    [[nodiscard]] double h(double x) const { return (std::pow(x, 1.0 - s_) - 1.0) / (1.0 - s_); }
    [[nodiscard]] double inverse(double x) const { return std::pow(1.0 + x * (1.0 - s_), 1.0 / (1.0 - s_)); }
    double n_, s_, low_, high_;
};

// 100,000 keys, 50,000 writes a second for 4 s, over a PostgreSQL table.
void zipf_writes(benchmark::State& state) {
    if (!levee::tests::postgres_server::is_installed()) {
        state.SkipWithError("no PostgreSQL server is installed");
        return;
    }
    for (auto _ : state) {
        levee::runtime on(2, 4);
        levee::write_behind<key, number> cache(table(on), caches(on),
                                               {.flush_interval = 1s, .max_pending = 100'000});
        const zipf rank(100'000, 0.99);
        levee::splitmix64 random(1);
        const auto begin = clock_type::now();
        for (int i = 0; i < 200'000; ++i) {
            cache.put(rank(random), i);
            if (i % 50 == 0) {
                std::this_thread::sleep_until(begin + i * 1'000'000'000ns / 50'000);
            }
        }
        must_be(cache.flush(60s), "not flushed");
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        const auto stats = cache.stats();
        state.counters["writes"] = static_cast<double>(stats.accepted);
        state.counters["rows_sent"] = static_cast<double>(stats.flushed);
        state.counters["statements"] = static_cast<double>(stats.batches);
        state.counters["rows_saved_%"] = 100.0 * stats.coalesced_ratio();
    }
}
BENCHMARK(zipf_writes)->Name("write_behind/zipf_0.99_writes")->Iterations(1)->UseManualTime();

}  // namespace
