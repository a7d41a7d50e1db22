/// A key's hash, computed once.
#pragma once

#include <cstdint>

namespace levee {

/// A key's hash as a cache computed it: `local_cache::hash`.
struct key_hash {
    std::uint64_t value;
};

}  // namespace levee
