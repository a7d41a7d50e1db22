/// What the benchmarks of PostgreSQL have in common: the server with its rows, libpq as a careful program
/// uses it by hand, and how it is measured.
#pragma once

#include <benchmark/benchmark.h>
#include <libpq-fe.h>
#include <sched.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../../tests/support/postgres_server.hpp"
#include "cpu_meter.hpp"
#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/postgres/pool.hpp"

namespace levee::bench {

constexpr std::int64_t keys = 10'000;
constexpr std::size_t value_bytes = 100;
constexpr const char* by_key = "SELECT value FROM items WHERE key = $1";

/// The server, filled; one for the whole program.
struct postgres_world {
    postgres_world() {
        server.execute(
            "CREATE TABLE items (key bigint PRIMARY KEY, value text NOT NULL);"
            "CREATE TABLE copied (key bigint, value text)");
        server.execute("INSERT INTO items SELECT i, repeat('v', " + std::to_string(value_bytes) +
                       ") FROM generate_series(0, " + std::to_string(keys - 1) + ") AS i");
        server.execute("VACUUM (ANALYZE) items");
    }

    [[nodiscard]] std::shared_ptr<postgres::pool> connect(bool is_unix, std::size_t multiplexed = 0) const {
        postgres::pool_options options;
        options.connection.uri = is_unix ? server.unix_uri() : server.uri();
        options.connection.executor = threads.get_executor();
        options.multiplexed = multiplexed;
        options.pool.max_size = 10;
        options.pool.max_waiters = 256;
        return std::make_shared<postgres::pool>(options);
    }

    tests::postgres_server server;
    mutable runtime threads{1, 1};
};

inline const postgres_world& here() {
    static const postgres_world one;
    return one;
}

inline std::int64_t next_key(splitmix64& random) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
}

/// Values are 'v's; those that were upserted are 'w's.
inline void check_value(std::string_view value) {
    if (value.size() != value_bytes || (value.front() != 'v' && value.front() != 'w') ||
        value.back() != value.front()) {
        throw std::runtime_error("not the value of any row");
    }
}

inline void check(bool is_right, const char* otherwise) {
    if (!is_right) {
        throw std::runtime_error(otherwise);
    }
}

/// Runs the benchmark; what it throws is shown instead of a figure.
template <class F>
void guarded(benchmark::State& state, F&& f) {
    try {
        f();
    } catch (const std::exception& e) {
        state.SkipWithError(e.what());
    }
}

/// Asks for something that is for so many `items` until plans are made and caches filled, then measures it.
template <class F>
void measure(benchmark::State& state, int warm_up, std::int64_t items, F&& ask) {
    for (int i = 0; i < warm_up; ++i) {
        ask();
    }
    const cpu_meter meter;
    for (auto _ : state) {
        ask();
    }
    meter.report(state, state.iterations() * items);
}

/// While it lives, this thread has one processor and a backend another.
class side_by_side {
public:
    explicit side_by_side(pid_t backend) {
        ::sched_getaffinity(0, sizeof before_, &before_);
        int cpus[2];
        int found = 0;
        for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; ++cpu) {
            if (CPU_ISSET(cpu, &before_)) {
                cpus[found++] = cpu;
            }
        }
        if (found == 2 && pin(backend, cpus[1])) {
            pin(0, cpus[0]);
        }
    }
    ~side_by_side() { ::sched_setaffinity(0, sizeof before_, &before_); }
    side_by_side(const side_by_side&) = delete;
    side_by_side& operator=(const side_by_side&) = delete;

private:
    static bool pin(pid_t who, int cpu) {
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(cpu, &only);
        return ::sched_setaffinity(who, sizeof only, &only) == 0;
    }

    cpu_set_t before_{};
};

/// A connection of libpq's, as a careful program would use it by hand.
class plain {
public:
    explicit plain(bool is_unix)
        : connection_(PQconnectdb(is_unix ? here().server.unix_uri().c_str() : here().server.uri().c_str())) {
    }
    ~plain() { PQfinish(connection_); }
    plain(const plain&) = delete;
    plain& operator=(const plain&) = delete;

    [[nodiscard]] PGconn* get() const noexcept { return connection_; }

    static PGresult* checked(PGresult* answer) {
        const ExecStatusType status = PQresultStatus(answer);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_IN) {
            throw std::runtime_error(PQresultErrorMessage(answer));
        }
        return answer;
    }
    void execute(const char* sql) const { PQclear(checked(PQexec(connection_, sql))); }
    void prepare(const char* sql) const { PQclear(checked(PQprepare(connection_, "s", sql, 0, nullptr))); }

    /// One key, in the binary format.
    struct key {
        explicit key(std::int64_t number)
            : big_endian(__builtin_bswap64(static_cast<std::uint64_t>(number))) {}
        std::uint64_t big_endian;
        int length = 8;
        int format = 1;
    };
    [[nodiscard]] std::string select(std::int64_t number) const {
        const key one(number);
        const char* const value = reinterpret_cast<const char*>(&one.big_endian);
        PGresult* const answer =
            checked(PQexecPrepared(connection_, "s", 1, &value, &one.length, &one.format, 0));
        std::string text(PQgetvalue(answer, 0, 0), static_cast<std::size_t>(PQgetlength(answer, 0, 0)));
        PQclear(answer);
        return text;
    }

private:
    PGconn* connection_;
};

}  // namespace levee::bench

#define LEVEE_POSTGRES_BENCHMARK(function, name) \
    BENCHMARK(function)->Name(name)->UseRealTime()->Unit(benchmark::kMicrosecond)
