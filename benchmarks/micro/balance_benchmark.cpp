// What a pick costs, beside the least that one would write by hand for the same choice.
#include "levee/balance/endpoint_set.hpp"
#include "levee/balance/least_connections.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/maglev.hpp"
#include "levee/balance/power_of_two.hpp"
#include "levee/balance/rendezvous.hpp"
#include "levee/balance/ring_hash.hpp"
#include "levee/balance/round_robin.hpp"
#include "levee/balance/weighted_round_robin.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using levee::endpoint;
using levee::endpoint_set;
using levee::load_balancer;
using levee::outcome;

constexpr std::size_t hosts = 10;

struct alignas(128) bare_host {
    std::atomic<std::uint32_t> in_flight{0};
    int weight = 1;
    int current = 0;
};
std::array<bare_host, hosts> bare_hosts;

std::vector<endpoint> endpoints(std::size_t count, bool is_weighted = false) {
    std::vector<endpoint> made(count);
    for (std::size_t i = 0; i < count; ++i) {
        made[i].host = "10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250);
        made[i].port = 80;
        made[i].weight = is_weighted ? static_cast<double>(i % 5 + 1) : 1.0;
    }
    return made;
}

levee::splitmix64& thread_random() {
    static thread_local levee::splitmix64 random(
        reinterpret_cast<std::uintptr_t>(&bare_hosts) ^
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
    return random;
}

// ---- by hand

void shared_counter(benchmark::State& state) {
    static std::atomic<std::uint64_t> next{0};
    for (auto _ : state) {
        benchmark::DoNotOptimize(&bare_hosts[next.fetch_add(1, std::memory_order_relaxed) % hosts]);
    }
}

void thread_counter(benchmark::State& state) {
    std::uint64_t next = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(&bare_hosts[next++ % hosts]);
    }
}

// As nginx does it: each pick raises all by their weights and takes the total off the highest.
void mutex_weighted(benchmark::State& state) {
    static std::mutex mutex;
    static const int total = [] {
        int sum = 0;
        for (std::size_t i = 0; i < hosts; ++i) {
            sum += bare_hosts[i].weight = static_cast<int>(i % 5) + 1;
        }
        return sum;
    }();
    for (auto _ : state) {
        const std::lock_guard lock(mutex);
        bare_host* best = nullptr;
        for (bare_host& one : bare_hosts) {
            one.current += one.weight;
            if (best == nullptr || one.current > best->current) {
                best = &one;
            }
        }
        best->current -= total;
        benchmark::DoNotOptimize(best);
    }
}

// The least there is: nobody could ever replace this table.
void bare_table(benchmark::State& state) {
    static const auto table = [] {
        std::vector<std::uint32_t> made(65'537);
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = static_cast<std::uint32_t>(levee::hash_mix(i) % hosts);
        }
        return made;
    }();
    std::uint64_t key = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(&bare_hosts[table[levee::hash_mix(++key) % 65'537]]);
    }
}

// The same where the table may be replaced while it is read, as updates of a set do: what one would write.
struct host_table {
    std::vector<std::uint32_t> entries = std::vector<std::uint32_t>(65'537);
    host_table() {
        for (std::size_t i = 0; i < entries.size(); ++i) {
            entries[i] = static_cast<std::uint32_t>(levee::hash_mix(i) % hosts);
        }
    }
};

void table_behind_shared_mutex(benchmark::State& state) {
    static std::shared_mutex mutex;
    static const auto table = std::make_shared<const host_table>();
    std::uint64_t key = 0;
    for (auto _ : state) {
        const std::shared_lock lock(mutex);
        benchmark::DoNotOptimize(&bare_hosts[table->entries[levee::hash_mix(++key) % 65'537]]);
    }
}

void table_by_atomic_shared_ptr(benchmark::State& state) {
    static std::atomic<std::shared_ptr<const host_table>> current{std::make_shared<const host_table>()};
    std::uint64_t key = 0;
    for (auto _ : state) {
        const std::shared_ptr<const host_table> table = current.load(std::memory_order_acquire);
        benchmark::DoNotOptimize(&bare_hosts[table->entries[levee::hash_mix(++key) % 65'537]]);
    }
}

void bare_two_choices(benchmark::State& state) {
    auto& random = thread_random();
    for (auto _ : state) {
        const std::uint64_t bits = random();
        bare_host* a = &bare_hosts[(bits & 0xffffffff) * hosts >> 32];
        bare_host* const b = &bare_hosts[(bits >> 32) * hosts >> 32];
        if (b->in_flight.load(std::memory_order_relaxed) < a->in_flight.load(std::memory_order_relaxed)) {
            a = b;
        }
        a->in_flight.fetch_add(1, std::memory_order_relaxed);
        benchmark::DoNotOptimize(a);
        a->in_flight.fetch_sub(1, std::memory_order_relaxed);
    }
}

void bare_scan(benchmark::State& state) {
    for (auto _ : state) {
        bare_host* best = &bare_hosts[0];
        for (bare_host& one : bare_hosts) {
            if (one.in_flight.load(std::memory_order_relaxed) <
                best->in_flight.load(std::memory_order_relaxed)) {
                best = &one;
            }
        }
        best->in_flight.fetch_add(1, std::memory_order_relaxed);
        benchmark::DoNotOptimize(best);
        best->in_flight.fetch_sub(1, std::memory_order_relaxed);
    }
}

// ---- levee

// A balancer of a kind for all threads of a run.
template <class Strategy>
load_balancer& shared(bool is_weighted = false) {
    static const endpoint_set set(endpoints(hosts, is_weighted));
    static load_balancer balancer(set, Strategy{}, {.seed = 1});
    return balancer;
}

// Picks whose tickets are dropped at once: cancelled.
template <class Strategy>
void pick_and_drop(benchmark::State& state) {
    load_balancer& balancer = shared<Strategy>();
    for (auto _ : state) {
        benchmark::DoNotOptimize(balancer.pick());
    }
}

template <class Strategy, bool is_weighted = false>
void pick_and_complete(benchmark::State& state) {
    load_balancer& balancer = shared<Strategy>(is_weighted);
    std::uint64_t key = 0;
    for (auto _ : state) {
        auto picked = balancer.pick({.hash = levee::hash_mix(++key)});
        benchmark::DoNotOptimize(picked);
        picked->complete(outcome::ok(1ms));
    }
}

template <class Strategy, bool is_weighted = false>
void locate(benchmark::State& state) {
    load_balancer& balancer = shared<Strategy>(is_weighted);
    std::uint64_t key = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(balancer.locate({.hash = levee::hash_mix(++key)}));
    }
}

// ---- what costs more: picks that have more to ask than the strategy

enum class careful { ejected, breaker, limit, adaptive_limit, tiers, zone, explain };

template <careful what>
load_balancer& careful_balancer() {
    static load_balancer& made = []() -> load_balancer& {
        auto all = endpoints(hosts);
        for (std::size_t i = 0; i < hosts; ++i) {
            all[i].priority = what == careful::tiers ? static_cast<std::uint32_t>(i % 2) : 0;
            all[i].zone = i % 2 == 0 ? "here" : "there";
        }
        levee::load_balancer_options options{.seed = 1};
        options.outlier->base_ejection = options.outlier->max_ejection = 1h;
        if (what == careful::breaker) {
            options.breaker.emplace();
        } else if (what == careful::limit) {
            options.max_in_flight = 100;
        } else if (what == careful::adaptive_limit) {
            options.adaptive_limit.emplace();
        } else if (what == careful::zone) {
            options.zone = "here";
        } else if (what == careful::explain) {
            options.explain_picks = 16;
        }
        static const endpoint_set set(all);
        static load_balancer balancer(set, levee::least_response_time{}, options);
        const std::string out = set.snapshot()->endpoints[0].data->id;
        for (int i = 0; what == careful::ejected && i < 5; ++i) {
            balancer.pick({.sticky = out})->complete(outcome::failed(1ms));
        }
        return balancer;
    }();
    return made;
}

template <careful what>
void pick_carefully(benchmark::State& state) {
    load_balancer& balancer = careful_balancer<what>();
    for (auto _ : state) {
        auto picked = balancer.pick();
        benchmark::DoNotOptimize(picked);
        picked->complete(outcome::ok(1ms));
    }
}

// A bounded load among many endpoints.
template <class Strategy>
void bounded_1000(benchmark::State& state) {
    static const endpoint_set set(endpoints(1'000));
    static load_balancer balancer(set, Strategy({.bounded_load = 1.25}), {.seed = 1});
    std::uint64_t key = 0;
    for (auto _ : state) {
        auto picked = balancer.pick({.hash = levee::hash_mix(++key)});
        benchmark::DoNotOptimize(picked);
        picked->complete(outcome::ok(1ms));
    }
}

// Updates of 10,000 endpoints, of which one has gone and one has come.
template <class Strategy>
void update_10000(benchmark::State& state) {
    endpoint_set set;
    const load_balancer balancer(set, Strategy{}, {.seed = 1});
    auto list = endpoints(10'001);
    endpoint last = list.back();
    list.pop_back();
    set.update(list);
    for (auto _ : state) {
        std::swap(last, list[5'000]);
        set.update(list);
    }
}

// Of the calling thread, without what it was preempted for.
std::chrono::nanoseconds processor_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// How long picks take while another thread updates 10,000 endpoints, 20 times an iteration. The longest
// one has the scheduler's share in it: a pick that is preempted waits for its next slice. So the longest is
// told in processor time, too, which leaves that out; picks have nothing to wait for.
void picks_during_updates(benchmark::State& state) {
    endpoint_set set;
    load_balancer balancer(set, levee::maglev{}, {.seed = 1});
    auto list = endpoints(10'001);
    endpoint last = list.back();
    list.pop_back();
    set.update(list);
    levee::histogram latencies;
    levee::histogram processor;
    std::uint64_t key = 0;
    for (auto _ : state) {
        std::atomic<bool> is_over{false};
        std::thread updater([&] {
            for (int i = 0; i < 20; ++i) {
                std::swap(last, list[5'000]);
                set.update(list);
            }
            is_over = true;
        });
        while (!is_over) {
            const auto processor_before = processor_time();
            const auto before = std::chrono::steady_clock::now();
            benchmark::DoNotOptimize(balancer.pick({.hash = levee::hash_mix(++key)}));
            const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - before;
            latencies.record(static_cast<std::uint64_t>(took.count()));
            processor.record(static_cast<std::uint64_t>((processor_time() - processor_before).count()));
        }
        updater.join();
    }
    state.counters["longest_processor_us"] = static_cast<double>((processor.max)().value_or(0)) / 1e3;
    state.counters["p99.99_us"] = static_cast<double>(latencies.value_at_percentile(99.99).value_or(0)) / 1e3;
    state.counters["longest_us"] = static_cast<double>((latencies.max)().value_or(0)) / 1e3;
}

BENCHMARK(shared_counter)->Name("balance_round_robin/reference_shared_counter")->ThreadRange(1, 2);
BENCHMARK(thread_counter)->Name("balance_round_robin/reference_thread_counter")->ThreadRange(1, 2);
BENCHMARK(pick_and_drop<levee::round_robin>)->Name("balance_round_robin/pick_and_drop")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::round_robin>)
    ->Name("balance_round_robin/pick_and_complete")
    ->ThreadRange(1, 2);
BENCHMARK(locate<levee::round_robin>)->Name("balance_round_robin/locate")->ThreadRange(1, 2);
BENCHMARK(mutex_weighted)->Name("balance_weighted/reference_nginx_behind_mutex")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::weighted_round_robin, true>)
    ->Name("balance_weighted/pick_and_complete")
    ->ThreadRange(1, 2);
BENCHMARK(locate<levee::weighted_round_robin, true>)->Name("balance_weighted/locate")->ThreadRange(1, 2);
BENCHMARK(bare_table)->Name("balance_maglev/reference_table")->ThreadRange(1, 2);
BENCHMARK(locate<levee::maglev>)->Name("balance_maglev/locate")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::maglev>)->Name("balance_maglev/pick_and_complete")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::ring_hash>)
    ->Name("balance_maglev/ring_pick_and_complete")
    ->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::rendezvous>)
    ->Name("balance_maglev/rendezvous_pick_and_complete")
    ->ThreadRange(1, 2);
BENCHMARK(table_behind_shared_mutex)
    ->Name("balance_maglev_replaceable/reference_table_behind_shared_mutex")
    ->ThreadRange(1, 2);
BENCHMARK(table_by_atomic_shared_ptr)
    ->Name("balance_maglev_replaceable/table_by_atomic_shared_ptr")
    ->ThreadRange(1, 2);
BENCHMARK(locate<levee::maglev>)->Name("balance_maglev_replaceable/locate")->ThreadRange(1, 2);
BENCHMARK(bare_two_choices)->Name("balance_two_choices/reference_with_in_flight")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::power_of_two>)
    ->Name("balance_two_choices/power_of_two")
    ->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::least_response_time>)
    ->Name("balance_two_choices/least_response_time")
    ->ThreadRange(1, 2);
BENCHMARK(bare_scan)->Name("balance_scan/reference_with_in_flight")->ThreadRange(1, 2);
BENCHMARK(pick_and_complete<levee::least_connections>)
    ->Name("balance_scan/least_connections")
    ->ThreadRange(1, 2);
BENCHMARK(bounded_1000<levee::maglev>)->Name("balance_bounded/maglev_1000")->ThreadRange(1, 2);
BENCHMARK(bounded_1000<levee::ring_hash>)->Name("balance_bounded/ring_hash_1000")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::ejected>)->Name("balance_slow/an_endpoint_ejected")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::breaker>)->Name("balance_slow/circuit_breakers")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::limit>)->Name("balance_slow/limit_in_flight")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::adaptive_limit>)->Name("balance_slow/adaptive_limit")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::tiers>)->Name("balance_slow/two_tiers")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::zone>)->Name("balance_slow/own_zone")->ThreadRange(1, 2);
BENCHMARK(pick_carefully<careful::explain>)->Name("balance_slow/explain")->ThreadRange(1, 2);
BENCHMARK(update_10000<levee::least_response_time>)
    ->Name("balance_update/least_response_time_10000")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(update_10000<levee::maglev>)->Name("balance_update/maglev_10000")->Unit(benchmark::kMillisecond);
BENCHMARK(picks_during_updates)
    ->Name("balance_update/picks_during_20_updates")
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);
BENCHMARK(update_10000<levee::ring_hash>)
    ->Name("balance_update/ring_hash_10000")
    ->Unit(benchmark::kMillisecond);

}  // namespace
