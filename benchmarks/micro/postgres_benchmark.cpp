// The PostgreSQL client beside plain libpq, against one server of our own on this machine with its default
// durability: 10,000 rows of 100 bytes. `client_cpu_us` is the processor time of this process for a query or
// row, all its threads counted. Every answer is checked, of ours and of theirs.
//
// A backend that is new plans its first executions anew and fills its caches, so each is asked some hundred
// times before it counts. With one caller, that thread and its backend have a processor each, of ours and of
// theirs, if there are two and the system allows it: otherwise the figures tell where the kernel put them.
#include <benchmark/benchmark.h>
#include <libpq-fe.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../../tests/support/postgres_server.hpp"
#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"

namespace {

namespace asio = boost::asio;
namespace postgres = levee::postgres;
using namespace std::chrono_literals;

constexpr std::int64_t keys = 10'000;
constexpr std::size_t value_bytes = 100;
constexpr const char* by_key = "SELECT value FROM items WHERE key = $1";

/// The server, filled; one for the whole program.
struct world {
    world() {
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

    levee::tests::postgres_server server;
    mutable levee::runtime threads{1, 1};
};

const world& here() {
    static const world one;
    return one;
}

std::int64_t next_key(levee::splitmix64& random) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
}

constexpr int warm_up = 300;

/// Values are 'v's; those that were upserted are 'w's.
void check_value(std::string_view value) {
    if (value.size() != value_bytes || (value.front() != 'v' && value.front() != 'w') ||
        value.back() != value.front()) {
        throw std::runtime_error("not the value of any row");
    }
}

void check(bool is_right, const char* otherwise) {
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

/// Counts what the process spends between construction and `report`.
class cpu_meter {
public:
    void report(benchmark::State& state, std::int64_t queries) const {
        state.SetItemsProcessed(queries);
        if (queries > 0) {
            state.counters["client_cpu_us"] = (spent() - before_) * 1e6 / static_cast<double>(queries);
        }
    }

private:
    static double spent() {
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        const auto seconds = [](const timeval& time) {
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
        };
        return seconds(used.ru_utime) + seconds(used.ru_stime);
    }
    double before_ = spent();
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

void one_caller_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(state.range(0) == 1);
        const side_by_side placed(db->query("SELECT pg_backend_pid()").value<int>());
        levee::splitmix64 random(1);
        for (int i = 0; i < warm_up; ++i) {
            check_value(db->query(by_key, next_key(random)).value<std::string>());
        }
        const cpu_meter meter;
        for (auto _ : state) {
            check_value(db->query(by_key, next_key(random)).value<std::string>());
        }
        meter.report(state, state.iterations());
        check(db->stats().created == 1, "more than one connection was made");
    });
}

void one_caller_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(state.range(0) == 1);
        const side_by_side placed(PQbackendPID(db.get()));
        db.prepare(by_key);
        levee::splitmix64 random(1);
        for (int i = 0; i < warm_up; ++i) {
            check_value(db.select(next_key(random)));
        }
        const cpu_meter meter;
        for (auto _ : state) {
            check_value(db.select(next_key(random)));
        }
        meter.report(state, state.iterations());
    });
}

constexpr int crowd = 64;
constexpr int rounds = 50;  // queries of each member of the crowd in an iteration

void coroutines(benchmark::State& state, std::size_t multiplexed) {
    levee::runtime threads(1, 1);
    postgres::pool_options options;
    options.connection.uri = here().server.uri();
    options.connection.executor = threads.get_executor();
    options.multiplexed = multiplexed;
    options.pool.max_size = 10;
    postgres::pool db(options);
    const auto run = [&] {
        std::latch done(crowd);
        const auto caller = [&](std::uint64_t seed) -> asio::awaitable<void> {
            levee::splitmix64 random(seed);
            for (int i = 0; i < rounds; ++i) {
                postgres::statement question(by_key, next_key(random));
                const postgres::result answer =
                    co_await db.async_query(std::move(question), asio::use_awaitable);
                check_value(answer.value<std::string>());
            }
        };
        std::atomic<bool> has_failed = false;
        for (int i = 0; i < crowd; ++i) {
            asio::co_spawn(threads.get_executor(), caller(static_cast<std::uint64_t>(i)),
                           [&](const std::exception_ptr& failed) {
                               has_failed = has_failed || failed;
                               done.count_down();
                           });
        }
        done.wait();
        return !has_failed;
    };
    for (int i = 0; i < 2; ++i) {
        static_cast<void>(run());  // connects, prepares, warms up; callers may come before the connections
    }
    const cpu_meter meter;
    for (auto _ : state) {
        if (!run()) {
            state.SkipWithError("a query failed");
        }
    }
    meter.report(state, state.iterations() * crowd * rounds);
}

void coroutines_pipelined(benchmark::State& state) {
    coroutines(state, 4);
}
void coroutines_pool_of_10(benchmark::State& state) {
    coroutines(state, 0);
}

void pipelined_by_hand_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        db.prepare(by_key);
        levee::splitmix64 random(1);
        for (int i = 0; i < warm_up; ++i) {
            check_value(db.select(next_key(random)));
        }
        check(PQenterPipelineMode(db.get()) == 1, "no pipeline mode");
        const cpu_meter meter;
        for (auto _ : state) {
            for (int round = 0; round < rounds; ++round) {
                for (int i = 0; i < crowd; ++i) {
                    const plain::key one(next_key(random));
                    const char* const value = reinterpret_cast<const char*>(&one.big_endian);
                    check(PQsendQueryPrepared(db.get(), "s", 1, &value, &one.length, &one.format, 0) == 1 &&
                              PQpipelineSync(db.get()) == 1,
                          "not sent");
                }
                for (int i = 0; i < crowd; ++i) {
                    PGresult* const answer = plain::checked(PQgetResult(db.get()));
                    check_value(std::string(PQgetvalue(answer, 0, 0),
                                            static_cast<std::size_t>(PQgetlength(answer, 0, 0))));
                    PQclear(answer);
                    PQgetResult(db.get());           // the end of the query
                    PQclear(PQgetResult(db.get()));  // the sync point
                }
            }
        }
        meter.report(state, state.iterations() * crowd * rounds);
    });
}

void load_many_levee(benchmark::State& state) {
    guarded(state, [&] {
        postgres::table_source<std::int64_t, std::string> items(here().connect(false), {.table = "items"});
        levee::splitmix64 random(1);
        const auto load = [&] {
            std::vector<levee::load_request<std::int64_t, std::string>> wanted(64);
            for (auto& each : wanted) {
                each.key = next_key(random);
            }
            const auto found = items.load(std::move(wanted));
            check(found.size() == 64, "not all keys were answered");
            for (const auto& each : found) {
                check_value(each.value.value());
            }
        };
        for (int i = 0; i < warm_up / 10; ++i) {
            load();
        }
        const cpu_meter meter;
        for (auto _ : state) {
            load();
        }
        meter.report(state, state.iterations() * 64);
    });
}

/// An array of int8 as the server reads it, by hand.
std::string array_of(const std::vector<std::int64_t>& numbers) {
    std::string text;
    const auto put = [&](std::uint32_t value) {
        value = __builtin_bswap32(value);
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    for (const std::uint32_t value : {1U, 0U, 20U, static_cast<std::uint32_t>(numbers.size()), 1U}) {
        put(value);
    }
    for (const std::int64_t each : numbers) {
        put(8);
        const std::uint64_t value = __builtin_bswap64(static_cast<std::uint64_t>(each));
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

std::string array_of(const std::vector<std::string>& texts) {
    std::string text;
    const auto put = [&](std::uint32_t value) {
        value = __builtin_bswap32(value);
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    for (const std::uint32_t value : {1U, 0U, 25U, static_cast<std::uint32_t>(texts.size()), 1U}) {
        put(value);
    }
    for (const std::string& each : texts) {
        put(static_cast<std::uint32_t>(each.size()));
        text += each;
    }
    return text;
}

void load_many_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        db.prepare("SELECT key, value FROM items WHERE key = ANY($1::int8[])");
        levee::splitmix64 random(1);
        const auto load = [&] {
            std::vector<std::int64_t> wanted(64);
            for (auto& each : wanted) {
                each = next_key(random);
            }
            const std::string array = array_of(wanted);
            const char* const value = array.data();
            const int length = static_cast<int>(array.size());
            const int format = 1;
            PGresult* const answer =
                plain::checked(PQexecPrepared(db.get(), "s", 1, &value, &length, &format, 0));
            std::vector<std::string> values;
            for (int i = 0; i < PQntuples(answer); ++i) {
                values.emplace_back(PQgetvalue(answer, i, 1));
            }
            PQclear(answer);
            check(values.size() >= 32, "not all keys were answered");  // some were drawn twice
            for (const std::string& each : values) {
                check_value(each);
            }
        };
        for (int i = 0; i < warm_up / 10; ++i) {
            load();
        }
        const cpu_meter meter;
        for (auto _ : state) {
            load();
        }
        meter.report(state, state.iterations() * 64);
    });
}

constexpr int upserted = 1000;

constexpr int warm_up_batches = 8;  // more than plans are made anew for

void upsert_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(false);
        postgres::table_source<std::int64_t, std::string> items(db, {.table = "items"});
        levee::splitmix64 random(1);
        const auto store = [&] {
            std::int64_t key = next_key(random);
            std::vector<levee::write_op<std::int64_t, std::string>> writes(upserted);
            for (auto& each : writes) {  // every key once: what is written by hand cannot take one twice
                key = (key + 7) % keys;
                each.key = key;
                each.value = std::string(value_bytes, 'w');
            }
            check(items.store(std::move(writes)).size() == upserted, "not all rows were written");
            return key;
        };
        for (int i = 0; i < warm_up_batches; ++i) {
            store();
        }
        const cpu_meter meter;
        std::int64_t last = 0;
        for (auto _ : state) {
            last = store();
        }
        meter.report(state, state.iterations() * upserted);
        check(db->query(by_key, last).value<std::string>().front() == 'w', "not written");
    });
}

void upsert_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        db.prepare(
            "INSERT INTO items (key, value) SELECT * FROM unnest($1::int8[], $2::text[]) "
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value");
        levee::splitmix64 random(1);
        const auto store = [&] {
            std::int64_t key = next_key(random);
            std::vector<std::int64_t> numbers;
            std::vector<std::string> texts;
            for (int i = 0; i < upserted; ++i) {
                key = (key + 7) % keys;
                numbers.push_back(key);
                texts.emplace_back(value_bytes, 'w');
            }
            const std::string first = array_of(numbers);
            const std::string second = array_of(texts);
            const char* const values[] = {first.data(), second.data()};
            const int lengths[] = {static_cast<int>(first.size()), static_cast<int>(second.size())};
            const int formats[] = {1, 1};
            PGresult* const answer =
                plain::checked(PQexecPrepared(db.get(), "s", 2, values, lengths, formats, 0));
            check(std::string_view(PQcmdTuples(answer)) == std::to_string(upserted),
                  "not all rows were written");
            PQclear(answer);
        };
        for (int i = 0; i < warm_up_batches; ++i) {
            store();
        }
        const cpu_meter meter;
        for (auto _ : state) {
            store();
        }
        meter.report(state, state.iterations() * upserted);
    });
}

constexpr int copied = 20'000;

/// Rows as COPY's text format has them, in pieces of some 64 KiB.
std::vector<std::string> copy_pieces() {
    std::vector<std::string> pieces(1);
    for (int i = 0; i < copied; ++i) {
        if (pieces.back().size() > 65'000) {
            pieces.emplace_back();
        }
        pieces.back() += std::to_string(i) + "\t" + std::string(value_bytes, 'c') + "\n";
    }
    return pieces;
}

constexpr const char* copy_statement = "COPY copied FROM STDIN";

void copy_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(false);
        const std::vector<std::string> pieces = copy_pieces();
        const auto copy = [&] {
            const std::uint64_t rows = db->with_connection([&](postgres::connection& on) {
                std::size_t next = 0;
                return on.copy_in(copy_statement, [&] {
                    return next < pieces.size() ? std::string_view(pieces[next++]) : std::string_view();
                });
            });
            check(rows == copied, "not all rows were copied");
        };
        copy();
        here().server.execute("TRUNCATE copied");
        const cpu_meter meter;
        for (auto _ : state) {
            copy();
            state.PauseTiming();
            here().server.execute("TRUNCATE copied");
            state.ResumeTiming();
        }
        meter.report(state, state.iterations() * copied);
    });
}

void copy_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        const std::vector<std::string> pieces = copy_pieces();
        const auto copy = [&] {
            db.execute(copy_statement);
            for (const std::string& each : pieces) {
                check(PQputCopyData(db.get(), each.data(), static_cast<int>(each.size())) == 1, "not sent");
            }
            check(PQputCopyEnd(db.get(), nullptr) == 1, "not sent");
            PGresult* const answer = plain::checked(PQgetResult(db.get()));
            check(std::string_view(PQcmdTuples(answer)) == std::to_string(copied),
                  "not all rows were copied");
            PQclear(answer);
            PQclear(PQgetResult(db.get()));
        };
        copy();
        here().server.execute("TRUNCATE copied");
        const cpu_meter meter;
        for (auto _ : state) {
            copy();
            state.PauseTiming();
            here().server.execute("TRUNCATE copied");
            state.ResumeTiming();
        }
        meter.report(state, state.iterations() * copied);
    });
}

#define LEVEE_POSTGRES_BENCHMARK(function, name) \
    BENCHMARK(function)->Name(name)->UseRealTime()->Unit(benchmark::kMicrosecond)
// The last part of a name is the transport: 0 TCP, 1 Unix socket.
LEVEE_POSTGRES_BENCHMARK(one_caller_levee, "postgres SELECT by key, one caller/levee pool")->Arg(0)->Arg(1);
LEVEE_POSTGRES_BENCHMARK(one_caller_libpq, "postgres SELECT by key, one caller/reference libpq")
    ->Arg(0)
    ->Arg(1);
LEVEE_POSTGRES_BENCHMARK(coroutines_pipelined,
                         "postgres SELECT by key, 64 coroutines/levee, 4 connections pipelined");
LEVEE_POSTGRES_BENCHMARK(coroutines_pool_of_10,
                         "postgres SELECT by key, 64 coroutines/reference levee, pool of 10");
LEVEE_POSTGRES_BENCHMARK(pipelined_by_hand_libpq,
                         "postgres SELECT by key, 64 coroutines/libpq, 64 pipelined by hand");
LEVEE_POSTGRES_BENCHMARK(load_many_levee, "postgres 64 keys/levee table_source");
LEVEE_POSTGRES_BENCHMARK(load_many_libpq, "postgres 64 keys/reference libpq = ANY");
LEVEE_POSTGRES_BENCHMARK(upsert_levee, "postgres upsert of 1,000 rows/levee table_source");
LEVEE_POSTGRES_BENCHMARK(upsert_libpq, "postgres upsert of 1,000 rows/reference libpq unnest");
LEVEE_POSTGRES_BENCHMARK(copy_levee, "postgres COPY of 20,000 rows/levee");
LEVEE_POSTGRES_BENCHMARK(copy_libpq, "postgres COPY of 20,000 rows/reference libpq");

}  // namespace
