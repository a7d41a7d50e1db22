#include "levee/cache/detail/cache_counters.hpp"

#include <algorithm>

namespace levee::cache_detail {

void cache_counters::add_to(cache_statistics& all) const noexcept {
    const auto add = [](std::uint64_t& to, const counter& from) {
        to += from.load(std::memory_order_relaxed);
    };
    const std::uint64_t wasted = (std::min)(unusable.load(std::memory_order_relaxed), all.hits);
    all.hits -= wasted;
    all.misses += wasted;
    add(all.loads, loads);
    add(all.load_failures, load_failures);
    add(all.joined, joined);
    add(all.refreshes, refreshes);
    add(all.remote_hits, remote_hits);
    add(all.remote_misses, remote_misses);
    add(all.leases_won, leases_won);
    add(all.leases_waited, leases_waited);
    add(all.fills_refused, fills_refused);
    add(all.stale_while_revalidate, stale_while_revalidate);
    add(all.stale_in_backoff, stale_in_backoff);
    add(all.stale_if_error, stale_if_error);
    add(all.stale_on_timeout, stale_on_timeout);
    add(all.suspects, suspects);
    add(all.suspects_served, suspects_served);
    add(all.gaps, gaps);
    add(all.remote_failures, remote_failures);
    add(all.remote_refused, remote_refused);
    add(all.remote_foreign, remote_foreign);
    add(all.remote_oversized, remote_oversized);
    add(all.unleased_loads, unleased_loads);
    add(all.loads_held_up, loads_held_up);
}

}  // namespace levee::cache_detail
