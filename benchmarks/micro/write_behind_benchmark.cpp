// Write-behind beside what it replaces: one-row write-through, and batched upserts written by hand over libpq
// and SQLite. Every figure of a pair comes from the same run against the same server, which syncs each
// commit. The journal, SQLite's file and the server's data are on one disk.
#include "levee/cache/write_behind.hpp"

#include <benchmark/benchmark.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/vfs.h>

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
#include <filesystem>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../../tests/support/postgres_server.hpp"
#include "../../tests/support/temp_dir.hpp"
#include "levee/async/runtime.hpp"
#include "levee/cache/write_through.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"
#include "levee/sqlite/table_source.hpp"
#include "levee/store/source_from.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

using number = std::int64_t;
using key = std::int64_t;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t flush_rows = 50'000;
constexpr std::size_t batch_rows = 256;
constexpr std::size_t connections = 32;
constexpr auto measured_for = 2s;

void must_be(bool is_so, const char* otherwise) {
    if (!is_so) {
        throw std::runtime_error(otherwise);
    }
}

/// Takes everything at once.
std::shared_ptr<levee::source<key, number>> sink() {
    return levee::source_from<key, number>([](const key&) { return std::optional<number>(); },
                                           [](const levee::write_op<key, number>&) {});
}

levee::cache_options<key, number> caches(levee::runtime& on) {
    return {.local = {.max_entries = 100'000},
            .executor = on.get_executor(),
            .blocking_executor = on.blocking_executor()};
}

/// Where syncing costs something: the working directory, should the folder for temporary files be memory.
/// Before anything makes a folder there.
void use_a_real_disk() {
    constexpr long memory = 0x01021994;  // TMPFS_MAGIC
    struct statfs what{};
    const auto usual = std::filesystem::temp_directory_path();
    if (::statfs(usual.c_str(), &what) == 0 && what.f_type == memory) {
        ::setenv("TMPDIR", std::filesystem::current_path().c_str(), 1);
    }
}
const bool is_on_disk = (use_a_real_disk(), true);

levee::tests::postgres_server& server() {
    static levee::tests::postgres_server one;
    return one;
}

std::shared_ptr<levee::source<key, number>> table(levee::runtime& on) {
    levee::postgres::pool_options options{.connection = {.uri = server().uri(),
                                                         .executor = on.get_executor(),
                                                         .blocking_executor = on.blocking_executor()}};
    options.pool.max_size = connections;
    options.pool.max_waiters = 4096;
    static_cast<void>(server().execute(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (key bigint PRIMARY KEY, value bigint NOT NULL)"));
    return std::make_shared<levee::postgres::table_source<key, number>>(
        std::make_shared<levee::postgres::pool>(std::move(options)),
        levee::postgres::table_options{.table = "t"});
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

// The source does not answer for 5 s while puts of new keys come, and the queue has room for all of them.
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
        // Each put has its slot. One that is late because of the puts before it waits from its slot on; one
        // that is late because the thread slept too long begins when it begins.
        levee::histogram latency;
        const auto begin = clock_type::now();
        auto ended = begin;
        for (key k = 0; k < 90'000; ++k) {
            const auto slot = begin + k * 5'000'000'000ns / 90'000;
            std::this_thread::sleep_until(slot);
            const auto from = ended > slot ? slot : clock_type::now();
            cache.put(k, k);
            ended = clock_type::now();
            latency.record(static_cast<std::uint64_t>((ended - from).count()));
        }
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        {
            const std::lock_guard lock(mutex);
            is_stalled = false;
        }
        changed.notify_all();
        state.counters["p50_us"] = static_cast<double>(latency.value_at_percentile(50).value_or(0)) / 1e3;
        state.counters["p99.9_us"] = static_cast<double>(latency.value_at_percentile(99.9).value_or(0)) / 1e3;
        state.counters["max_us"] = static_cast<double>((latency.max)().value_or(0)) / 1e3;
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

/// Rows a second from the first put to the end of the flush.
double flush_all(const std::shared_ptr<levee::source<key, number>>& to, levee::runtime& on, number value) {
    levee::write_behind<key, number> cache(
        to, caches(on),
        {.flush_interval = 1h, .max_pending = 1'000'000, .batch_size = batch_rows, .batch_time = 0s});
    const auto begin = clock_type::now();
    for (std::size_t i = 0; i < flush_rows; ++i) {
        cache.put(static_cast<key>(i), value);
    }
    must_be(cache.flush(60s), "not flushed");
    must_be(cache.stats().flushed == flush_rows, "not all rows were flushed");
    return static_cast<double>(flush_rows) / std::chrono::duration<double>(clock_type::now() - begin).count();
}

/// A bigint[] in the server's binary form, which is what the cache sends.
class bigint_array {
public:
    void begin(std::size_t count) {
        raw_.clear();
        put(1, 4);      // dimension
        put(0, 4);      // no nulls
        put(20, 4);     // of int8
        put(count, 4);  // so many,
        put(1, 4);      // from 1 on
    }
    void add(std::int64_t value) {
        put(8, 4);
        put(static_cast<std::uint64_t>(value), 8);
    }
    [[nodiscard]] const char* data() const noexcept { return raw_.data(); }
    [[nodiscard]] int size() const noexcept { return static_cast<int>(raw_.size()); }

private:
    void put(std::uint64_t value, int width) {
        for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
            raw_.push_back(static_cast<char>(value >> static_cast<unsigned>(shift)));
        }
    }
    std::string raw_{};
};

/// The same rows by one prepared statement of libpq, batch after batch.
double by_hand_postgres(number value) {
    struct closing {
        void operator()(PGconn* c) const noexcept { PQfinish(c); }
        void operator()(PGresult* r) const noexcept { PQclear(r); }
    };
    const std::unique_ptr<PGconn, closing> db(PQconnectdb(server().uri().c_str()));
    const auto check = [&](PGresult* got) {
        const std::unique_ptr<PGresult, closing> result(got);
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
            throw std::runtime_error(PQerrorMessage(db.get()));
        }
    };
    check(PQprepare(db.get(), "up",
                    "INSERT INTO t (key, value) SELECT * FROM unnest($1::bigint[], $2::bigint[]) "
                    "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    2, nullptr));
    bigint_array keys;
    bigint_array values;
    constexpr std::array<int, 2> binary{1, 1};
    const auto begin = clock_type::now();
    for (std::size_t first = 0; first < flush_rows; first += batch_rows) {
        const std::size_t count = std::min(batch_rows, flush_rows - first);
        keys.begin(count);
        values.begin(count);
        for (std::size_t i = 0; i < count; ++i) {
            keys.add(static_cast<key>(first + i));
            values.add(value);
        }
        const std::array<const char*, 2> parameters{keys.data(), values.data()};
        const std::array<int, 2> sizes{keys.size(), values.size()};
        check(PQexecPrepared(db.get(), "up", 2, parameters.data(), sizes.data(), binary.data(), 0));
    }
    return static_cast<double>(flush_rows) / std::chrono::duration<double>(clock_type::now() - begin).count();
}

double by_hand_sqlite(const std::string& path, number value) {
    struct closing {
        void operator()(sqlite3* d) const noexcept { sqlite3_close(d); }
        void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
    };
    sqlite3* opened = nullptr;
    const int code = sqlite3_open(path.c_str(), &opened);
    const std::unique_ptr<sqlite3, closing> db(opened);
    const auto check = [&](int got, int wanted = SQLITE_OK) {
        if (got != wanted) {
            throw std::runtime_error(sqlite3_errmsg(db.get()));
        }
    };
    const auto run = [&](const char* sql) { check(sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr)); };
    check(code);
    run("PRAGMA synchronous=FULL");
    sqlite3_stmt* prepared = nullptr;
    check(sqlite3_prepare_v2(db.get(),
                             "INSERT INTO t (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET "
                             "value = excluded.value",
                             -1, &prepared, nullptr));
    const std::unique_ptr<sqlite3_stmt, closing> up(prepared);
    const auto begin = clock_type::now();
    for (std::size_t first = 0; first < flush_rows; first += batch_rows) {
        run("BEGIN IMMEDIATE");
        for (std::size_t i = first; i < std::min(flush_rows, first + batch_rows); ++i) {
            check(sqlite3_bind_int64(up.get(), 1, static_cast<sqlite3_int64>(i)));
            check(sqlite3_bind_int64(up.get(), 2, value));
            check(sqlite3_step(up.get()), SQLITE_DONE);
            check(sqlite3_reset(up.get()));
        }
        run("COMMIT");
    }
    return static_cast<double>(flush_rows) / std::chrono::duration<double>(clock_type::now() - begin).count();
}

void report_flush(benchmark::State& state, double behind, double by_hand) {
    state.counters["behind_rows/s"] = behind;
    state.counters["by_hand_rows/s"] = by_hand;
    state.counters["ratio"] = behind / by_hand;
}

constexpr int rounds = 4;

void flush_postgres(benchmark::State& state) {
    if (!levee::tests::postgres_server::is_installed()) {
        state.SkipWithError("no PostgreSQL server is installed");
        return;
    }
    for (auto _ : state) {
        const auto begin = clock_type::now();
        levee::runtime on(2, 4);
        const auto to = table(on);
        double behind = 0.0;
        double by_hand = 0.0;
        static_cast<void>(by_hand_postgres(0));  // the rows are there
        for (number round = 1; round <= rounds; ++round) {
            by_hand += by_hand_postgres(round * 2) / rounds;
            behind += flush_all(to, on, round * 2 + 1) / rounds;
        }
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        report_flush(state, behind, by_hand);
    }
}
BENCHMARK(flush_postgres)->Name("write_behind/flush_vs_libpq_by_hand")->Iterations(1)->UseManualTime();

void flush_sqlite(benchmark::State& state) {
    for (auto _ : state) {
        const auto begin = clock_type::now();
        const levee::tests::temp_dir dir;
        levee::runtime on(2, 4);
        const auto to = std::make_shared<levee::sqlite::table_source<key, number>>(
            levee::sqlite::table_options{.path = dir / "db", .table = "t", .create_if_missing = true});
        double behind = 0.0;
        double by_hand = 0.0;
        static_cast<void>(by_hand_sqlite(dir / "db", 0));
        for (number round = 1; round <= rounds; ++round) {
            by_hand += by_hand_sqlite(dir / "db", round * 2) / rounds;
            behind += flush_all(to, on, round * 2 + 1) / rounds;
        }
        state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - begin).count());
        report_flush(state, behind, by_hand);
    }
}
BENCHMARK(flush_sqlite)->Name("write_behind/flush_vs_sqlite_by_hand")->Iterations(1)->UseManualTime();

}  // namespace
