/// Hit ratios over several capacities and policies: the miss-ratio curve.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/trace.hpp"

namespace levee::lab {

/// What to measure.
struct curve_options {
    std::vector<std::string> policies{};      ///< Names as in `known_policies()`. At least one.
    std::vector<std::uint64_t> capacities{};  ///< Entries or bytes (see `by_size`), not zero. At least one.
    bool by_size = false;  ///< Whether entries count as their bytes; the trace must have sizes.
    unsigned threads = 2;  ///< How many replay at the same time. At least 1.
};

/// One replay of the whole trace.
struct curve_point {
    std::string policy;
    std::uint64_t capacity = 0;
    std::uint64_t requests = 0;
    std::uint64_t hits = 0;

    [[nodiscard]] double hit_ratio() const noexcept {
        return requests == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(requests);
    }
    [[nodiscard]] std::uint64_t misses() const noexcept { return requests - hits; }
};

/// Replays the trace once for each policy and capacity, and returns the points by capacity, then policy,
/// both in the order of the options.
///
/// Thread safety: safe; `input` is only read. Blocks: until all replays have ended, on the caller's thread
/// and `threads` - 1 others; the first error ends all. Errors: std::invalid_argument for an option out of its
/// range.
[[nodiscard]] std::vector<curve_point> miss_ratio_curve(const trace& input, const curve_options& options);

/// Replays the trace once through one policy and returns the number of hits.
[[nodiscard]] std::uint64_t count_hits(const trace& input, std::string_view policy, std::uint64_t capacity,
                                       bool by_size = false);

}  // namespace levee::lab
