/// Samples in the shapes that latencies have, and how far a histogram's answers are from them.
#pragma once

#include "levee/core/random.hpp"
#include "levee/monitor/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace levee::tests {

struct latency_shape {
    const char* name;
    double (*draw)(xoshiro256&);
};

inline double normal(xoshiro256& random) {  // Box and Muller 1958
    const double u = 1.0 - uniform_unit(random);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform_unit(random));
}

inline std::vector<latency_shape> latency_shapes() {
    return {
        {"uniform", [](xoshiro256& random) { return uniform_unit(random) * 1e9; }},
        {"exponential", [](xoshiro256& random) { return -std::log(1.0 - uniform_unit(random)) * 5e6; }},
        {"bimodal",
         [](xoshiro256& random) {  // hits of about 200 ns, one in 50 a load of about 3 ms
             return uniform_unit(random) < 0.98 ? 200.0 + 20.0 * normal(random) : 3e6 + 2e5 * normal(random);
         }},
        {"log_normal", [](xoshiro256& random) { return std::exp(13.0 + 1.5 * normal(random)); }},
        {"constant", [](xoshiro256&) { return 1'234'567.0; }},
        {"bucket_edges",  // adversarial: the last value of a bucket, from all powers of two
         [](xoshiro256& random) {
             return std::ldexp(1.0, 8 + static_cast<int>(uniform_below(random, 40))) * (129.0 / 128.0) - 1.0;
         }},
        {"small", [](xoshiro256& random) { return uniform_unit(random) * 300.0; }},
    };
}

inline std::vector<std::uint64_t> draw_sorted(const latency_shape& from, std::size_t samples) {
    xoshiro256 random(2024);
    std::vector<std::uint64_t> values(samples);
    for (auto& value : values) {
        value = static_cast<std::uint64_t>(std::max(0.0, from.draw(random)));
    }
    std::sort(values.begin(), values.end());
    return values;
}

inline histogram counted(const std::vector<std::uint64_t>& values) {
    histogram made;
    for (const auto value : values) {
        made.record(value);
    }
    return made;
}

inline double relative_error(std::uint64_t estimate, std::uint64_t exact) {
    const double difference = std::abs(static_cast<double>(estimate) - static_cast<double>(exact));
    return exact == 0 ? difference : difference / static_cast<double>(exact);
}

}  // namespace levee::tests
