// A connection at hand, taken and given back, beside the pools that one would otherwise use; and what it
// takes to hand one from a coroutine to a thread, beside the waking of a thread alone. Dummy connections.
#include "levee/pool/connection_pool.hpp"

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "levee/async/runtime.hpp"

#ifdef LEVEE_BENCHMARK_SOCI
#include <soci/connection-pool.h>
#endif
#ifdef LEVEE_BENCHMARK_POCO
#include <Poco/ObjectPool.h>
#endif

namespace {

using namespace std::chrono_literals;

constexpr std::size_t connections = 8;

/// Each thread on a processor of its own while it lives: a kernel that keeps two threads on one would show
/// no contention. One thread, or fewer processors than threads: nothing is changed.
class pinned {
public:
    explicit pinned(const benchmark::State& state) {
        pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
        if (state.threads() > 1 && CPU_COUNT(&before_) >= state.threads()) {
            int skipped = state.thread_index();
            for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
                if (CPU_ISSET(cpu, &before_) && skipped-- == 0) {
                    cpu_set_t only{};
                    CPU_SET(cpu, &only);
                    pthread_setaffinity_np(pthread_self(), sizeof only, &only);
                }
            }
        }
    }
    ~pinned() { pthread_setaffinity_np(pthread_self(), sizeof before_, &before_); }
    pinned(const pinned&) = delete;
    pinned& operator=(const pinned&) = delete;

private:
    cpu_set_t before_{};
};

struct dummy {
    int number = 0;
};

levee::connection_pool<dummy>& shared_pool() {
    static levee::runtime threads(1, 1);
    static levee::connection_pool<dummy> pool(levee::factory_from([] { return dummy{}; }),
                                              {.max_size = connections,
                                               .executor = threads.get_executor(),
                                               .blocking_executor = threads.blocking_executor()});
    return pool;
}

void acquire_release(benchmark::State& state) {
    const pinned on_a_processor(state);
    auto& pool = shared_pool();
    for (auto _ : state) {
        auto connection = pool.acquire();
        benchmark::DoNotOptimize(connection->number);
    }
}
BENCHMARK(acquire_release)->Name("pool_acquire/levee")->Threads(1)->Threads(2)->UseRealTime();

void try_acquire_release(benchmark::State& state) {
    const pinned on_a_processor(state);
    auto& pool = shared_pool();
    for (std::size_t i = 0; i < connections; ++i) {
        static_cast<void>(pool.acquire());
    }
    for (auto _ : state) {
        auto connection = pool.try_acquire();
        benchmark::DoNotOptimize(connection);
    }
}
BENCHMARK(try_acquire_release)->Name("pool_acquire/levee try_acquire")->Threads(1)->Threads(2)->UseRealTime();

// What one writes oneself: no deadline on connecting, no order, no validation, no statistics.
class mutex_pool {
public:
    mutex_pool() {
        for (std::size_t i = 0; i < connections; ++i) {
            idle_.push_back(&all_[i]);
        }
    }
    dummy* acquire() {
        std::unique_lock lock(mutex_);
        returned_.wait(lock, [this] { return !idle_.empty(); });
        dummy* const taken = idle_.back();
        idle_.pop_back();
        return taken;
    }
    void release(dummy* connection) {
        {
            const std::lock_guard lock(mutex_);
            idle_.push_back(connection);
        }
        returned_.notify_one();
    }

private:
    dummy all_[connections];
    std::mutex mutex_;  // guards idle_
    std::condition_variable returned_;
    std::deque<dummy*> idle_;
};

void mutex_acquire_release(benchmark::State& state) {
    const pinned on_a_processor(state);
    static mutex_pool pool;
    for (auto _ : state) {
        dummy* const connection = pool.acquire();
        benchmark::DoNotOptimize(connection->number);
        pool.release(connection);
    }
}
BENCHMARK(mutex_acquire_release)
    ->Name("pool_acquire/reference mutex, condition, deque")
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();

#ifdef LEVEE_BENCHMARK_SOCI
void soci_acquire_release(benchmark::State& state) {
    const pinned on_a_processor(state);
    static soci::connection_pool pool(connections);
    for (auto _ : state) {
        const std::size_t place = pool.lease();
        benchmark::DoNotOptimize(&pool.at(place));
        pool.give_back(place);
    }
}
BENCHMARK(soci_acquire_release)
    ->Name("pool_acquire/reference SOCI connection_pool")
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();
#endif

#ifdef LEVEE_BENCHMARK_POCO
void poco_acquire_release(benchmark::State& state) {
    const pinned on_a_processor(state);
    static Poco::ObjectPool<dummy> pool(connections, connections);
    for (auto _ : state) {
        dummy* const connection = pool.borrowObject(1000);
        benchmark::DoNotOptimize(connection->number);
        pool.returnObject(connection);
    }
}
BENCHMARK(poco_acquire_release)
    ->Name("pool_acquire/reference Poco ObjectPool")
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();
#endif

// There and back: a connection goes from this thread to one who waits, and one comes back to this thread,
// which waits for it: two hand-overs, two wake-ups. Strictly in turns.
struct one_connection {
    explicit one_connection(const levee::runtime& threads)
        : pool(levee::factory_from([] { return dummy{}; }),
               {.max_size = 1,
                .executor = threads.get_executor(),
                .blocking_executor = threads.blocking_executor()}) {}
    levee::connection_pool<dummy> pool;
};

void thread_and_thread(benchmark::State& state) {
    levee::runtime threads(1, 1);
    one_connection pools[2]{one_connection(threads), one_connection(threads)};
    std::atomic<bool> is_over = false;
    auto mine = pools[0].pool.acquire();
    std::jthread other([&, theirs = pools[1].pool.acquire()]() mutable {
        for (std::size_t turn = 0; !is_over; turn = 1 - turn) {
            theirs = pools[turn].pool.acquire(10s);  // has it, and gives back the one of the other pool
        }
    });
    std::size_t turn = 1;
    for (auto _ : state) {
        mine.give_back();
        mine = pools[turn].pool.acquire(10s);
        turn = 1 - turn;
    }
    is_over = true;
    mine.give_back();
}
BENCHMARK(thread_and_thread)->Name("pool_hand_over/thread, thread and back")->UseRealTime();

void thread_and_handler(benchmark::State& state) {
    levee::runtime threads(1, 1);
    one_connection one(threads);
    auto held = one.pool.acquire();
    auto handler = boost::asio::bind_executor(
        threads.get_executor(),
        [](std::exception_ptr /*error*/, levee::pooled<dummy> connection) { connection.give_back(); });
    for (auto _ : state) {
        one.pool.async_acquire(decltype(handler)(handler));
        held.give_back();
        held = one.pool.acquire(10s);
    }
}
BENCHMARK(thread_and_handler)->Name("pool_hand_over/thread, handler and back")->UseRealTime();

// What cannot be avoided: a mutex and a condition variable, which is a futex.
void wake(benchmark::State& state) {
    std::mutex mutex;  // guards turn
    std::condition_variable changed;
    enum class whose : std::uint8_t { mine, theirs, nobodys } turn = whose::mine;
    std::jthread other([&] {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [&] { return turn != whose::mine; });
            if (turn == whose::nobodys) {
                return;
            }
            turn = whose::mine;
            changed.notify_one();
        }
    });
    for (auto _ : state) {
        std::unique_lock lock(mutex);
        turn = whose::theirs;
        changed.notify_one();
        changed.wait(lock, [&] { return turn == whose::mine; });
    }
    const std::lock_guard lock(mutex);
    turn = whose::nobodys;
    changed.notify_one();
}
BENCHMARK(wake)->Name("pool_hand_over/reference wake and back")->UseRealTime();

}  // namespace
