/// The pairs of trace and cache size that the README's mean is over, and that the tests hold the policy to.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace levee::lab {

/// A trace, and the sizes of a cache that it is replayed with.
struct golden_trace {
    std::string_view name;  ///< Of its file, without ".txt.gz".
    std::vector<std::uint64_t> entries;
};

/// 43 pairs in 16 traces.
[[nodiscard]] const std::vector<golden_trace>& golden_traces();

/// The policies that are settled once and for all: what an adaptive one is compared to.
[[nodiscard]] const std::vector<std::string>& fixed_policies();

/// Replays all pairs, with the traces of `folder`, through the fixed policies, levee and the optimum, and
/// prints their hit ratios in per cent, the means, and how far levee is behind the best fixed policy.
///
/// Blocks: minutes; `threads` replay at the same time. Errors: levee::error for a trace that is not there.
void print_golden(std::ostream& out, const std::string& folder, unsigned threads);

}  // namespace levee::lab
