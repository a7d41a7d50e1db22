#include "hit_ratio/policies/sieve.hpp"

namespace levee::lab {

sieve::sieve(const policy_setup& setup)
    : held_(setup), links_(setup.distinct), queue_(links_), visited_(setup.distinct) {}

bool sieve::access(std::uint32_t id, std::uint32_t size) {
    if (held_.holds(id)) {
        visited_[id] = true;
        return true;
    }
    const std::uint32_t cost = held_.cost_of(size);
    if (!held_.can_ever_hold(cost)) {
        return false;
    }
    while (!held_.has_room_for(cost)) {
        evict_one();
    }
    held_.add(id, cost);
    queue_.push(id);
    visited_[id] = false;
    return false;
}

void sieve::evict_one() {
    std::uint32_t victim = hand_ == no_id ? queue_.oldest() : hand_;
    while (visited_[victim]) {
        visited_[victim] = false;
        victim = queue_.newer_than(victim);
        if (victim == no_id) {
            victim = queue_.oldest();
        }
    }
    hand_ = queue_.newer_than(victim);
    queue_.erase(victim);
    held_.remove(victim);
}

}  // namespace levee::lab
