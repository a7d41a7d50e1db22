/// A made-up workload, for when there is no trace at hand.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hit_ratio/trace.hpp"

namespace levee::lab {

/// The shape of a synthetic workload. The defaults make 500,000 requests for about 60,000 keys.
struct synthetic_options {
    std::size_t requests = 500'000;     ///< In [1, 2^32).
    std::size_t popular_keys = 50'000;  ///< Keys that have a popularity. In [1, 2^24].
    double skew = 0.95;        ///< Zipf's exponent: key n is asked for in proportion to n^-skew. In [0, 4].
    double drift = 0.02;       ///< Chance, a request, that one popular key swaps rank. In [0, 1]. Zero: none.
    double scan_share = 0.05;  ///< Share of requests that belong to scans. In [0, 1). Zero: no scans.
    std::size_t scan_length = 500;  ///< Keys in a scan, never asked for before. At least 1.
    bool with_sizes = false;  ///< Whether keys have sizes: 100 bytes to about 1 MiB, most of them small.
    std::uint64_t seed = 1;   ///< The same seed gives the same trace.
};

/// Makes a skewed trace whose favourites drift and which is crossed by scans of keys seen once.
///
/// Popularity is Zipf's (Breslau, Cao, Fan, Phillips, Shenker, "Web caching and Zipf-like distributions",
/// INFOCOM 1999). Key names are "key:<n>" and "scan:<n>". Errors: std::invalid_argument for an option out
/// of its range. Cost: about 0.2 µs a request.
[[nodiscard]] trace make_synthetic_trace(const synthetic_options& options = {});

}  // namespace levee::lab
