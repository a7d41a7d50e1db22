/// The right to store one value that is being fetched elsewhere.
#pragma once

#include <cstdint>

namespace levee {

/// The right to store what a load brings, as long as nothing newer happened to its key (after the leases of
/// Nishtala et al. 2013, "Scaling Memcache at Facebook"). Given by `local_cache::begin_fill`, ended by
/// `fill` or `abandon` of the same cache. A plain value: copies stand for the same lease.
struct fill_lease {
    std::uint64_t hash = 0;  ///< Of the key.
    std::uint64_t id = 0;    ///< Zero: no lease; filling with it stores nothing.
};

}  // namespace levee
