// The PostgreSQL client beside plain libpq, against one server of our own on this machine with its default
// durability: 10,000 rows of 100 bytes. `client_cpu_us` is the processor time of this process for a query or
// row, all its threads counted. Every answer is checked, of ours and of theirs.
//
// A backend that is new plans its first executions anew and fills its caches, so each is asked some hundred
// times before it counts. With one caller, that thread and its backend have a processor each, of ours and of
// theirs, if there are two and the system allows it: otherwise the figures tell where the kernel put them.
#include <benchmark/benchmark.h>
#include <libpq-fe.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <latch>
#include <string>
#include <utility>

#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"
#include "levee/postgres/pool.hpp"
#include "postgres_world.hpp"

namespace {

namespace asio = boost::asio;
namespace postgres = levee::postgres;
using namespace levee::bench;

constexpr int warm_up = 300;

template <bool over_unix_socket>
void one_caller_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(over_unix_socket);
        const side_by_side placed(db->query("SELECT pg_backend_pid()").value<int>());
        levee::splitmix64 random(1);
        measure(state, warm_up, 1,
                [&] { check_value(db->query(by_key, next_key(random)).value<std::string>()); });
        check(db->stats().created == 1, "more than one connection was made");
    });
}

template <bool over_unix_socket>
void one_caller_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(over_unix_socket);
        const side_by_side placed(PQbackendPID(db.get()));
        db.prepare(by_key);
        levee::splitmix64 random(1);
        measure(state, warm_up, 1, [&] { check_value(db.select(next_key(random))); });
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

LEVEE_POSTGRES_BENCHMARK(one_caller_levee<false>, "postgres SELECT by key, one caller, TCP/levee pool");
LEVEE_POSTGRES_BENCHMARK(one_caller_libpq<false>, "postgres SELECT by key, one caller, TCP/reference libpq");
LEVEE_POSTGRES_BENCHMARK(one_caller_levee<true>,
                         "postgres SELECT by key, one caller, Unix socket/levee pool");
LEVEE_POSTGRES_BENCHMARK(one_caller_libpq<true>,
                         "postgres SELECT by key, one caller, Unix socket/reference libpq");
LEVEE_POSTGRES_BENCHMARK(coroutines_pipelined,
                         "postgres SELECT by key, 64 coroutines/levee, 4 connections pipelined");
LEVEE_POSTGRES_BENCHMARK(coroutines_pool_of_10,
                         "postgres SELECT by key, 64 coroutines/reference levee, pool of 10");
LEVEE_POSTGRES_BENCHMARK(pipelined_by_hand_libpq,
                         "postgres SELECT by key, 64 coroutines/libpq, 64 pipelined by hand");

}  // namespace
