// redis::store and redis::backplane beside bare GETs of redis::client, against one redis-server of our own on
// this machine: 10,000 keys of 100 bytes.
#include "levee/redis/store.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../../tests/support/redis_server.hpp"
#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/redis/backplane.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t keys = 10'000;
constexpr std::size_t value_bytes = 100;

std::string key_of(std::uint64_t number) {
    return "key:" + std::to_string(number % keys);
}

levee::remote_entry entry_of(std::string_view text) {
    levee::remote_entry made;
    const levee::bytes_view raw = levee::as_bytes(text);
    made.payload.assign(raw.begin(), raw.end());
    made.fresh_left = 1h;
    return made;
}

std::shared_ptr<levee::redis::client> connect(std::uint16_t port, const levee::runtime& threads) {
    return std::make_shared<levee::redis::client>(levee::redis::client_options{
        .port = port, .executor = threads.get_executor(), .command_timeout = 10s});
}

/// The server, filled with bare values, with entries and through a cache; one for the whole program.
struct world {
    world() : db(connect(server.port(), threads)), store(std::make_shared<levee::redis::store>(db)) {
        const std::string value(value_bytes, 'v');
        const auto filler = make_cache(keys, {});
        for (std::size_t i = 0; i < keys; ++i) {
            db->set("bare:" + key_of(i), value);
            store->put(key_of(i), entry_of(value));
            filler->put(key_of(i), value);
        }
    }

    using text_cache = levee::cache<std::string, std::string>;
    [[nodiscard]] std::unique_ptr<text_cache> make_cache(std::size_t local,
                                                         std::shared_ptr<levee::backplane> bus) const {
        return std::make_unique<text_cache>(
            levee::cache_options<std::string, std::string>{.name = "bench",
                                                           .local = {.max_entries = local},
                                                           .remote = store,
                                                           .backplane = std::move(bus),
                                                           .remote_options = {.timeout = 10s},
                                                           .executor = threads.get_executor(),
                                                           .blocking_executor = threads.blocking_executor(),
                                                           .defaults = {.ttl = 1h}});
    }

    levee::tests::redis_server server;
    levee::runtime threads{1, 1};
    std::shared_ptr<levee::redis::client> db;
    std::shared_ptr<levee::redis::store> store;
};

world& here() {
    static world one;
    return one;
}

// A hit.

void bare_get(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    levee::splitmix64 random(1);
    for (auto _ : state) {
        auto value = there.db->get("bare:" + key_of(random()));
        benchmark::DoNotOptimize(value);
    }
}

void store_get(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    levee::splitmix64 random(1);
    for (auto _ : state) {
        auto found = there.store->get({key_of(random())});
        if (!found.front()) {
            state.SkipWithError("a miss");
            return;
        }
    }
}

void store_lease_hit(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    levee::splitmix64 random(1);
    for (auto _ : state) {
        auto found = there.store->get_or_lease({.key = key_of(random()), .lease = 10s});
        if (found.what != levee::lease_outcome::entry) {
            state.SkipWithError("a miss");
            return;
        }
    }
}

// A hit in L2 that L1 does not have: it holds 16 of 10,000.

void cache_get(benchmark::State& state) {
    const auto cache = here().make_cache(16, {});
    levee::splitmix64 random(1);
    for (auto _ : state) {
        auto value = cache->get(key_of(random()));
        if (!value) {
            state.SkipWithError("a miss");
            return;
        }
    }
}

void cache_get_or_load(benchmark::State& state) {
    const auto cache = here().make_cache(16, {});
    levee::splitmix64 random(1);
    std::uint64_t loads = 0;
    for (auto _ : state) {
        auto value = cache->get_or_load(key_of(random()), [&](const std::string&) {
            ++loads;
            return std::string("loaded");
        });
        benchmark::DoNotOptimize(value);
    }
    if (loads != 0) {
        state.SkipWithError("a load");
    }
}

// A miss: taking the lease, and filling.

void lease_granted(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    static std::uint64_t number = 0;
    for (auto _ : state) {
        auto asked = there.store->get_or_lease({.key = "lease:" + std::to_string(++number), .lease = 1s});
        if (asked.what != levee::lease_outcome::granted) {
            state.SkipWithError("not granted");
            return;
        }
    }
}

void lease_and_fill(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    static std::uint64_t number = 0;
    const levee::remote_entry entry = entry_of(std::string(value_bytes, 'v'));
    for (auto _ : state) {
        const std::string key = "fill:" + std::to_string(++number % keys);
        const auto asked = there.store->get_or_lease({.key = key, .lease = 1s, .even_if_fresh = true});
        if (!there.store->fill(key, asked.token, entry)) {
            state.SkipWithError("refused");
            return;
        }
    }
}

// A thousand keys at once; a time is for all of them.

constexpr std::size_t many = 1000;

void bare_get_many(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    levee::splitmix64 random(1);
    std::vector<std::string> wanted(many);
    for (auto _ : state) {
        for (auto& each : wanted) {
            each = "bare:" + key_of(random());
        }
        auto values = there.db->get_many(wanted);
        benchmark::DoNotOptimize(values);
    }
}

void store_get_many(benchmark::State& state) {
    world& there = here();  // made before the clock runs
    levee::splitmix64 random(1);
    std::vector<std::string> wanted(many);
    for (auto _ : state) {
        for (auto& each : wanted) {
            each = key_of(random());
        }
        auto values = there.store->get(wanted);
        benchmark::DoNotOptimize(values);
    }
}

// From when `invalidate` has returned on one node until the value is not fresh on another, which has threads
// and connections of its own. What had happened before it returned counts as no time.

void invalidation(benchmark::State& state) {
    const levee::runtime threads(1, 1);
    const auto bus_of = [](std::shared_ptr<levee::redis::client> over) {
        auto made = std::make_shared<levee::redis::backplane>(std::move(over));
        static_cast<void>(made->wait_subscribed(10s));
        while (made->fresh_until() <= levee::clock::precise().now()) {
            std::this_thread::yield();
        }
        return made;
    };
    const auto a = here().make_cache(keys, bus_of(here().db));
    const auto b = here().make_cache(keys, bus_of(connect(here().server.port(), threads)));
    levee::splitmix64 random(1);
    levee::histogram latencies;
    const auto load = [](const std::string&) { return std::string(value_bytes, 'v'); };
    for (auto _ : state) {
        const std::string key = "told:" + key_of(random());
        static_cast<void>(b->get_or_load(key, load));
        if (a->invalidate(key) != levee::reach::acknowledged) {
            state.SkipWithError("not acknowledged");
            return;
        }
        const auto told = levee::clock::precise().now();
        while (b->try_get(key)) {
            std::this_thread::yield();
        }
        const auto took = levee::clock::precise().now() - told;
        latencies.record(static_cast<std::uint64_t>(took.count()));
        state.SetIterationTime(std::chrono::duration<double>(took).count());
    }
    for (const char* name : {"50", "90", "99", "99.9", "100"}) {
        state.counters[std::string("p") + name + "_us"] =
            static_cast<double>(latencies.value_at_percentile(std::stod(name)).value_or(0)) / 1e3;
    }
}

#define LEVEE_REDIS_BENCHMARK(function, name) \
    BENCHMARK(function)->Name(name)->UseRealTime()->Unit(benchmark::kMicrosecond)
LEVEE_REDIS_BENCHMARK(bare_get, "redis_store, a hit/reference client.get");
LEVEE_REDIS_BENCHMARK(store_get, "redis_store, a hit/store.get");
LEVEE_REDIS_BENCHMARK(store_lease_hit, "redis_store, a hit/store.get_or_lease");
LEVEE_REDIS_BENCHMARK(cache_get, "redis_store, a hit/cache.get, not in L1");
LEVEE_REDIS_BENCHMARK(cache_get_or_load, "redis_store, a hit/cache.get_or_load, not in L1");
LEVEE_REDIS_BENCHMARK(bare_get, "redis_store, a miss/reference client.get");
LEVEE_REDIS_BENCHMARK(lease_granted, "redis_store, a miss/lease");
LEVEE_REDIS_BENCHMARK(lease_and_fill, "redis_store, a miss/lease and fill");
LEVEE_REDIS_BENCHMARK(bare_get_many, "redis_store, 1000 keys/reference client.get_many");
LEVEE_REDIS_BENCHMARK(store_get_many, "redis_store, 1000 keys/store.get");
BENCHMARK(invalidation)
    ->Name("redis_backplane, from invalidate to not fresh on the other node/levee")
    ->UseManualTime()
    ->Iterations(2000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
