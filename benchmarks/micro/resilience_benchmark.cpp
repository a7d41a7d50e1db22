// What a circuit breaker costs each call, beside a breaker that is a mutex and two integers.
#include "levee/resilience/circuit_breaker.hpp"

#include <benchmark/benchmark.h>

#include <mutex>

namespace {

using namespace std::chrono_literals;
using levee::circuit_breaker;
using levee::time_point;

constexpr time_point now{1h};

// What one writes oneself.
class mutex_breaker {
public:
    bool try_acquire(time_point at) {
        const std::lock_guard lock(mutex_);
        return failures_ < 5 || at >= open_until_;
    }
    void record_success() {
        const std::lock_guard lock(mutex_);
        failures_ = 0;
    }
    void record_failure(time_point at) {
        const std::lock_guard lock(mutex_);
        failures_ += 1;
        open_until_ = at + 5s;
    }

private:
    std::mutex mutex_;  // guards all
    int failures_ = 0;
    time_point open_until_{};
};

void mutex_closed(benchmark::State& state) {
    static mutex_breaker breaker;
    for (auto _ : state) {
        benchmark::DoNotOptimize(breaker.try_acquire(now));
        breaker.record_success();
    }
}

void closed(benchmark::State& state) {
    static circuit_breaker breaker;
    for (auto _ : state) {
        auto permit = breaker.try_acquire(now);
        benchmark::DoNotOptimize(permit.record_success(now));
    }
}

void closed_with_rate(benchmark::State& state) {
    static circuit_breaker breaker({.failure_rate = 0.5});
    for (auto _ : state) {
        auto permit = breaker.try_acquire(now);
        benchmark::DoNotOptimize(permit.record_success(now));
    }
}

void mutex_open(benchmark::State& state) {
    static mutex_breaker breaker;
    if (state.thread_index() == 0) {
        for (int i = 0; i < 5; ++i) {
            breaker.record_failure(now);
        }
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(breaker.try_acquire(now));
    }
}

void refused(benchmark::State& state) {
    static circuit_breaker breaker;
    if (state.thread_index() == 0) {  // the loop begins when all threads have come to it
        breaker.reset();
        for (int i = 0; i < 5; ++i) {
            breaker.try_acquire(now).record_failure(now);
        }
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(static_cast<bool>(breaker.try_acquire(now)));
    }
}

BENCHMARK(mutex_closed)->Name("breaker_closed/reference_mutex")->ThreadRange(1, 2);
BENCHMARK(closed)->Name("breaker_closed/breaker")->ThreadRange(1, 2);
BENCHMARK(closed_with_rate)->Name("breaker_closed/breaker_with_failure_rate")->ThreadRange(1, 2);
BENCHMARK(mutex_open)->Name("breaker_open/reference_mutex")->ThreadRange(1, 2);
BENCHMARK(refused)->Name("breaker_open/breaker")->ThreadRange(1, 2);

}  // namespace
