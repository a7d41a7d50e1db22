/// The processor time of this process, all its threads counted, as a figure of a benchmark.
#pragma once

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdint>

namespace levee::bench {

/// Counts what the process spends between construction and `report`, which tells it for each of `calls`.
class cpu_meter {
public:
    void report(benchmark::State& state, std::int64_t calls) const {
        state.SetItemsProcessed(calls);
        if (calls > 0) {
            state.counters["client_cpu_us"] = (spent() - before_) * 1e6 / static_cast<double>(calls);
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

}  // namespace levee::bench
