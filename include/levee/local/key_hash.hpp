/// A key's hash, computed once.
#pragma once

#include <cstdint>

namespace levee {

/// A key's hash as a cache computed it: `local_cache::hash`. The same in all caches of one key type and
/// `Hash`, which mix it further; of an integer it may be the integer itself.
struct key_hash {
    std::uint64_t value;
};

}  // namespace levee
