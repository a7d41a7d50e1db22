/// An access trace in memory: which key was asked for, in order, and how big its value is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace levee::lab {

/// Requests in order, with keys as dense ids: the n-th distinct key of the trace has the id n (from 0).
///
/// Thread safety: a value; any number of threads may read one at the same time.
struct trace {
    std::vector<std::uint32_t> keys;   ///< One id a request.
    std::vector<std::uint32_t> sizes;  ///< One size in bytes a request; empty when the trace has none.
    std::vector<std::string> names;    ///< The key of each id, as it was spelt.

    [[nodiscard]] std::size_t requests() const noexcept { return keys.size(); }
    [[nodiscard]] std::size_t distinct() const noexcept { return names.size(); }
    [[nodiscard]] bool has_sizes() const noexcept { return !sizes.empty(); }

    /// The size of one request; 1 when the trace has none.
    [[nodiscard]] std::uint32_t size_of(std::size_t request) const noexcept {
        return sizes.empty() ? 1 : sizes[request];
    }
};

/// Gives every request of a key the size of the key's first one. Traces in libCacheSim's "oracleGeneral"
/// format are made so; figures from them can only be compared on traces that are treated alike.
void fix_sizes(trace& input);

}  // namespace levee::lab
