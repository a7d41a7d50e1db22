#include "local/shadow_cache.hpp"

#include <algorithm>

namespace levee::local_detail {
namespace {

constexpr std::size_t remembered_a_slot = 3;

}  // namespace

shadow_cache::shadow_cache(std::uint64_t seed, std::size_t slots, bool weighted)
    : clock_(seed), slots_(slots), chains_(slots, none), weighted_(weighted), capacity_(slots) {
    clock_.reserve(slots, weighted);
    clock_.remember(remembered_a_slot * slots);
    for (std::size_t i = slots; i-- > 0;) {
        slots_[i].next = free_;
        free_ = static_cast<link>(i);
    }
}

void shadow_cache::set_capacity(std::size_t entries, std::uint64_t weight) noexcept {
    capacity_ = std::clamp<std::size_t>(entries, 1, slots_.size());
    max_weight_ = std::max<std::uint64_t>(weight, 1);
    while (clock_.size() > capacity_ || (weighted_ && clock_.amount() > max_weight_)) {
        evict(0);
    }
}

bool shadow_cache::access(std::uint32_t hash, std::uint64_t weight) noexcept {
    for (link at = chain_of(hash); at != none; at = slots_[at].next) {
        if (slots_[at].hash == hash) {
            slots_[at].referenced = true;
            return true;
        }
    }
    const std::uint64_t comes = weighted_ ? weight : 1;
    if (weighted_ && weight > max_weight_) {
        return false;
    }
    const bool is_full = is_full_for(comes);
    while (is_full_for(comes)) {
        evict(comes);
    }
    const link id = free_;
    free_ = slots_[id].next;
    link& chain = chain_of(hash);
    slots_[id] = {hash, chain, false};
    chain = id;
    clock_.insert(id, hash, weight);
    if (!is_full) {
        clock_.overflow();
    }
    return false;
}

void shadow_cache::evict(std::uint64_t comes) noexcept {
    const link gone = clock_.victim(*this, comes, none);
    link* at = &chain_of(slots_[gone].hash);
    while (*at != gone) {
        at = &slots_[*at].next;
    }
    *at = slots_[gone].next;
    clock_.erase(gone, slots_[gone].hash);
    slots_[gone].next = free_;
    free_ = gone;
}

std::size_t shadow_cache::memory() const noexcept {
    return clock_.memory() + slots_.capacity() * sizeof(slot) + chains_.capacity() * sizeof(link);
}

}  // namespace levee::local_detail
