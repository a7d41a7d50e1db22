#include "hit_ratio/policies/clock.hpp"

namespace levee::lab {

clock_policy::clock_policy(const policy_setup& setup)
    : held_(setup), links_(setup.distinct), ring_(links_), referenced_(setup.distinct) {}

bool clock_policy::access(std::uint32_t id, std::uint32_t size) {
    if (held_.holds(id)) {
        referenced_[id] = true;
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
    ring_.push(id);
    referenced_[id] = false;
    return false;
}

void clock_policy::evict_one() {
    while (referenced_[ring_.oldest()]) {
        const std::uint32_t spared = ring_.oldest();
        referenced_[spared] = false;
        ring_.renew(spared);
    }
    held_.remove(ring_.pop());
}

}  // namespace levee::lab
