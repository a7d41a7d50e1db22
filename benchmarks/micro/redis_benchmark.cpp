// A Redis client beside hiredis and bare sockets, against one redis-server of our own on this machine: 10,000
// keys of 100 bytes. `client_cpu_us` is the processor time of this process for a command, all its threads
// counted.
#include "levee/redis/client.hpp"

#include <benchmark/benchmark.h>
#include <hiredis/hiredis.h>

#include <atomic>
#include <barrier>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../../tests/support/redis_server.hpp"
#include "cpu_meter.hpp"
#include "levee/async/runtime.hpp"
#include "levee/core/random.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::bench::cpu_meter;

constexpr std::size_t keys = 10'000;
constexpr std::size_t value_bytes = 100;

std::string key_of(std::uint64_t number) {
    return "key:" + std::to_string(number % keys);
}

struct free_context {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
};
using hiredis_context = std::unique_ptr<redisContext, free_context>;

struct free_reply {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using hiredis_reply = std::unique_ptr<redisReply, free_reply>;

/// The server, filled; one for the whole program.
struct world {
    world() {
        levee::redis::client db(
            {.port = server.port(), .executor = threads.get_executor(), .command_timeout = 10s});
        for (std::size_t i = 0; i < keys; ++i) {
            db.set(key_of(i), std::string(value_bytes, 'v'));
        }
    }
    levee::tests::redis_server server;
    levee::runtime threads{1, 1};

    [[nodiscard]] levee::redis::client_options options(bool is_unix) const {
        levee::redis::client_options made{
            .port = server.port(), .executor = threads.get_executor(), .command_timeout = 10s};
        if (is_unix) {
            made.unix_socket = server.unix_socket();
        }
        return made;
    }
    [[nodiscard]] hiredis_context connect(bool is_unix) const {
        return hiredis_context(is_unix ? redisConnectUnix(server.unix_socket().c_str())
                                       : redisConnect("127.0.0.1", server.port()));
    }
};

world& here() {
    static world one;
    return one;
}

void one_caller_levee(benchmark::State& state) {
    levee::redis::client db(here().options(state.range(0) == 1));
    levee::splitmix64 random(1);
    db.get("warm");
    const cpu_meter meter;
    for (auto _ : state) {
        auto value = db.get(key_of(random()));
        benchmark::DoNotOptimize(value);
    }
    meter.report(state, state.iterations());
}

void one_caller_hiredis(benchmark::State& state) {
    const auto context = here().connect(state.range(0) == 1);
    levee::splitmix64 random(1);
    const cpu_meter meter;
    for (auto _ : state) {
        const std::string key = key_of(random());
        const hiredis_reply reply(
            static_cast<redisReply*>(redisCommand(context.get(), "GET %b", key.data(), key.size())));
        std::string value(reply->str, reply->len);
        benchmark::DoNotOptimize(value);
    }
    meter.report(state, state.iterations());
}

// What is below every client: the bytes of a GET out, the bytes of its answer in.
void one_caller_socket(benchmark::State& state) {
    const auto context = here().connect(state.range(0) == 1);
    levee::splitmix64 random(1);
    const cpu_meter meter;
    char buffer[4096];
    for (auto _ : state) {
        const levee::redis::command get("GET", key_of(random()));
        static_cast<void>(::send(context->fd, get.wire().data(), get.wire().size(), MSG_NOSIGNAL));
        auto size = ::recv(context->fd, buffer, sizeof buffer, 0);
        benchmark::DoNotOptimize(size);
    }
    meter.report(state, state.iterations());
}

void get_many_levee(benchmark::State& state) {
    levee::redis::client db(here().options(false));
    levee::splitmix64 random(1);
    std::vector<std::string> wanted(64);
    const cpu_meter meter;
    for (auto _ : state) {
        for (auto& each : wanted) {
            each = key_of(random());
        }
        auto values = db.get_many(wanted);
        benchmark::DoNotOptimize(values);
    }
    meter.report(state, state.iterations() * 64);
}

void get_many_hiredis(benchmark::State& state) {
    const auto context = here().connect(false);
    levee::splitmix64 random(1);
    std::vector<std::string> wanted(64);
    const cpu_meter meter;
    for (auto _ : state) {
        std::vector<const char*> words{"MGET"};
        std::vector<std::size_t> sizes{4};
        for (auto& each : wanted) {
            each = key_of(random());
            words.push_back(each.data());
            sizes.push_back(each.size());
        }
        const hiredis_reply reply(static_cast<redisReply*>(
            redisCommandArgv(context.get(), static_cast<int>(words.size()), words.data(), sizes.data())));
        std::vector<std::string> values;
        values.reserve(reply->elements);
        for (std::size_t i = 0; i < reply->elements; ++i) {
            values.emplace_back(reply->element[i]->str, reply->element[i]->len);
        }
        benchmark::DoNotOptimize(values);
    }
    meter.report(state, state.iterations() * 64);
}

constexpr int crowd = 64;
constexpr int rounds = 200;  // commands of each member of the crowd in an iteration

void coroutines_levee(benchmark::State& state) {
    levee::runtime threads(1, 1);
    auto options = here().options(state.range(0) == 1);
    options.executor = threads.get_executor();
    levee::redis::client db(options);
    db.get("warm");
    const cpu_meter meter;
    for (auto _ : state) {
        std::latch done(crowd);
        const auto caller = [&](std::uint64_t seed) -> asio::awaitable<void> {
            levee::splitmix64 random(seed);
            for (int i = 0; i < rounds; ++i) {
                auto value = co_await db.async_get(key_of(random()), asio::use_awaitable);
                benchmark::DoNotOptimize(value);
            }
        };
        for (int i = 0; i < crowd; ++i) {
            asio::co_spawn(threads.get_executor(), caller(static_cast<std::uint64_t>(i)),
                           [&](const std::exception_ptr&) { done.count_down(); });
        }
        done.wait();
    }
    meter.report(state, state.iterations() * crowd * rounds);
}

void pipelined_by_hand_hiredis(benchmark::State& state) {
    const auto context = here().connect(state.range(0) == 1);
    levee::splitmix64 random(1);
    const cpu_meter meter;
    for (auto _ : state) {
        for (int round = 0; round < rounds; ++round) {
            for (int i = 0; i < crowd; ++i) {
                const std::string key = key_of(random());
                redisAppendCommand(context.get(), "GET %b", key.data(), key.size());
            }
            for (int i = 0; i < crowd; ++i) {
                void* answer = nullptr;
                redisGetReply(context.get(), &answer);
                const hiredis_reply reply(static_cast<redisReply*>(answer));
                std::string value(reply->str, reply->len);
                benchmark::DoNotOptimize(value);
            }
        }
    }
    meter.report(state, state.iterations() * crowd * rounds);
}

/// 64 threads, each of which runs `ask(number)` `rounds` times an iteration.
template <class Ask>
void threads_run(benchmark::State& state, const Ask& ask) {
    std::barrier turn(crowd + 1);
    std::atomic<bool> is_over = false;
    std::vector<std::jthread> threads;
    for (int i = 0; i < crowd; ++i) {
        threads.emplace_back([&, i] {
            levee::splitmix64 random(static_cast<std::uint64_t>(i));
            for (;;) {
                turn.arrive_and_wait();
                if (is_over) {
                    return;
                }
                for (int round = 0; round < rounds; ++round) {
                    ask(key_of(random()));
                }
                turn.arrive_and_wait();
            }
        });
    }
    const cpu_meter meter;
    for (auto _ : state) {
        turn.arrive_and_wait();
        turn.arrive_and_wait();
    }
    meter.report(state, state.iterations() * crowd * rounds);
    is_over = true;
    turn.arrive_and_wait();
}

void threads_levee(benchmark::State& state) {
    levee::redis::client db(here().options(false));
    threads_run(state, [&](const std::string& key) {
        auto value = db.get(key);
        benchmark::DoNotOptimize(value);
    });
}

void threads_hiredis_pool(benchmark::State& state) {
    std::mutex mutex;  // guards idle
    std::condition_variable returned;
    std::vector<hiredis_context> idle;
    for (int i = 0; i < 4; ++i) {
        idle.push_back(here().connect(false));
    }
    threads_run(state, [&](const std::string& key) {
        hiredis_context context;
        {
            std::unique_lock lock(mutex);
            returned.wait(lock, [&] { return !idle.empty(); });
            context = std::move(idle.back());
            idle.pop_back();
        }
        const hiredis_reply reply(
            static_cast<redisReply*>(redisCommand(context.get(), "GET %b", key.data(), key.size())));
        std::string value(reply->str, reply->len);
        benchmark::DoNotOptimize(value);
        {
            const std::lock_guard lock(mutex);
            idle.push_back(std::move(context));
        }
        returned.notify_one();
    });
}

#define LEVEE_REDIS_BENCHMARK(function, name) \
    BENCHMARK(function)->Name(name)->UseRealTime()->Unit(benchmark::kMicrosecond)
// The last part of a name is the transport: 0 TCP, 1 Unix socket.
LEVEE_REDIS_BENCHMARK(one_caller_levee, "redis_get, one caller/levee")->Arg(0)->Arg(1);
LEVEE_REDIS_BENCHMARK(one_caller_hiredis, "redis_get, one caller/reference hiredis sync")->Arg(0)->Arg(1);
LEVEE_REDIS_BENCHMARK(one_caller_socket, "redis_get, one caller/reference send + recv")->Arg(0)->Arg(1);
LEVEE_REDIS_BENCHMARK(get_many_levee, "redis_get_many of 64/levee");
LEVEE_REDIS_BENCHMARK(get_many_hiredis, "redis_get_many of 64/reference hiredis MGET");
LEVEE_REDIS_BENCHMARK(coroutines_levee, "redis_get, 64 coroutines/levee")->Arg(0)->Arg(1);
LEVEE_REDIS_BENCHMARK(pipelined_by_hand_hiredis,
                      "redis_get, 64 coroutines/reference hiredis pipelined by hand")
    ->Arg(0)
    ->Arg(1);
LEVEE_REDIS_BENCHMARK(threads_levee, "redis_get, 64 threads/levee");
LEVEE_REDIS_BENCHMARK(threads_hiredis_pool, "redis_get, 64 threads/reference 4 hiredis in a pool");

}  // namespace
