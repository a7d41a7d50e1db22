// Flushing beside batched upserts written by hand over libpq and SQLite. Both of a pair come from the same
// run against the same server, which syncs each commit, or the same kind of file.
#include <benchmark/benchmark.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "../../tests/support/temp_dir.hpp"
#include "levee/cache/write_behind.hpp"
#include "levee/sqlite/table_source.hpp"
#include "write_behind_support.hpp"

namespace {

using namespace std::chrono_literals;
using namespace levee::benchmarks;

constexpr std::size_t flush_rows = 50'000;
constexpr std::size_t batch_rows = 256;

/// Rows a second from the first put to the end of the flush.
double flush_all(const std::shared_ptr<levee::source<key, number>>& to, levee::runtime& on, number value) {
    levee::write_behind<key, number> cache(
        to, caches(on),
        {.flush_interval = 1h, .max_pending = flush_rows, .batch_size = batch_rows, .batch_time = 0s});
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
