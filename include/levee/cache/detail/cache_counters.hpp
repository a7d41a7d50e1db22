/// The counters behind `cache_statistics`, shared with loads that may outlive their cache.
#pragma once

#include <atomic>
#include <cstdint>

#include "levee/cache/cache_statistics.hpp"

namespace levee::cache_detail {

/// Off the hit path: shared lines are good enough.
struct cache_counters {
    using counter = std::atomic<std::uint64_t>;
    counter loads{0}, load_failures{0}, joined{0}, refreshes{0};
    counter unusable{0};  // look-ups that L1 counted as hits, of entries that were of no use
    counter remote_hits{0}, remote_misses{0}, leases_won{0}, leases_waited{0}, fills_refused{0};
    counter stale_while_revalidate{0}, stale_in_backoff{0}, stale_if_error{0}, stale_on_timeout{0};
    counter suspects{0}, suspects_served{0}, gaps{0};
    counter remote_failures{0}, remote_refused{0}, remote_foreign{0}, remote_oversized{0};
    counter unleased_loads{0}, loads_held_up{0};

    void add_to(cache_statistics& all) const noexcept;
};

inline void count(cache_counters::counter& one) noexcept {
    one.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace levee::cache_detail
