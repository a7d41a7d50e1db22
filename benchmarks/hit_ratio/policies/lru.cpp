#include "hit_ratio/policies/lru.hpp"

namespace levee::lab {

lru::lru(const policy_setup& setup) : held_(setup), links_(setup.distinct), queue_(links_) {}

bool lru::access(std::uint32_t id, std::uint32_t size) {
    if (held_.holds(id)) {
        queue_.renew(id);
        return true;
    }
    const std::uint32_t cost = held_.cost_of(size);
    if (!held_.can_ever_hold(cost)) {
        return false;
    }
    while (!held_.has_room_for(cost)) {
        held_.remove(queue_.pop());
    }
    held_.add(id, cost);
    queue_.push(id);
    return false;
}

}  // namespace levee::lab
