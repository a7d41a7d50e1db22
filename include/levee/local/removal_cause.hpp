/// Why an entry left a cache.
#pragma once

#include <cstdint>

namespace levee {

/// Why an entry left a cache: what a removal listener is told. Each removed entry has exactly one cause.
enum class removal_cause : std::uint8_t {
    invalidated,  ///< `invalidate`, `invalidate_if`, `clear`, or a `compute` that answered empty.
    replaced,     ///< A newer value was stored under its key.
    expired,      ///< Its time to live or its time to idle had passed when something came across it.
    size,         ///< To keep a bound: evicted for another entry, or its own replacement did not fit.
};

}  // namespace levee
