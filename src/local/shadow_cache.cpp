#include "local/shadow_cache.hpp"

#include <algorithm>

namespace levee::local_detail {
namespace {

constexpr std::size_t remembered_a_slot = 2;

}  // namespace

shadow_cache::shadow_cache(std::uint64_t seed, std::size_t slots, bool weighted)
    : clock_(seed),
      hashes_(slots),
      next_(slots, none),
      chains_(slots, none),
      weighted_(weighted),
      capacity_(slots) {
    clock_.reserve(slots, weighted);
    clock_.remember(remembered_a_slot * slots);
    for (std::size_t i = slots; i-- > 0;) {
        next_[i] = free_;
        free_ = static_cast<link>(i);
    }
}

void shadow_cache::set_capacity(std::size_t entries, std::uint64_t weight) noexcept {
    capacity_ = std::clamp<std::size_t>(entries, 1, hashes_.size());
    max_weight_ = std::max<std::uint64_t>(weight, 1);
    while (clock_.size() > capacity_ || (weighted_ && clock_.amount() > max_weight_)) {
        evict(0);
    }
}

bool shadow_cache::access(std::uint32_t hash, std::uint64_t weight) noexcept {
    for (link at = chain_of(hash); at != none; at = next_[at]) {
        if (hashes_[at] == hash) {
            clock_.mark(at, referenced, true);
            return true;
        }
    }
    const std::uint64_t comes = weighted_ ? weight : 1;
    if (weighted_ && weight > max_weight_) {
        return false;
    }
    const bool is_full = is_full_for(comes);
    if (is_full && clock_.refuses(*this, hash, comes, none)) {
        return false;
    }
    while (is_full_for(comes)) {
        evict(comes);
    }
    const link id = free_;
    free_ = next_[id];
    link& chain = chain_of(hash);
    hashes_[id] = hash;
    next_[id] = chain;
    chain = id;
    clock_.insert(id, hash, weight);
    if (!is_full) {
        clock_.overflow();
    }
    return false;
}

void shadow_cache::evict(std::uint64_t comes) noexcept {
    const link gone = clock_.victim(*this, comes, none);
    link* at = &chain_of(hashes_[gone]);
    while (*at != gone) {
        at = &next_[*at];
    }
    *at = next_[gone];
    clock_.erase(gone, hashes_[gone]);
    next_[gone] = free_;
    free_ = gone;
}

std::size_t shadow_cache::memory() const noexcept {
    return clock_.memory() + hashes_.capacity() * sizeof(std::uint32_t) +
           (next_.capacity() + chains_.capacity()) * sizeof(link);
}

}  // namespace levee::local_detail
