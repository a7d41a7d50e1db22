#include "hit_ratio/policies/two_q.hpp"

#include <algorithm>

namespace levee::lab {

two_q::two_q(const policy_setup& setup)
    : held_(setup),
      links_(setup.distinct),
      in_(links_),
      out_(links_),
      main_(links_),
      in_limit_(std::max<std::uint64_t>(1, setup.capacity / 4)),
      out_limit_(std::max<std::uint64_t>(1, setup.capacity / 2)),
      place_(setup.distinct, place::none) {}

bool two_q::access(std::uint32_t id, std::uint32_t /*size*/) {
    if (place_[id] == place::main) {
        main_.renew(id);
        return true;
    }
    if (place_[id] == place::in) {
        return true;
    }
    const bool returns = place_[id] == place::out;
    if (returns) {
        out_.erase(id);
        place_[id] = place::none;
    }
    if (!held_.has_room_for(1)) {
        evict_one();
    }
    (returns ? main_ : in_).push(id);
    place_[id] = returns ? place::main : place::in;
    held_.add(id, 1);
    return false;
}

void two_q::evict_one() {
    if (in_.size() > in_limit_ || main_.empty()) {
        const std::uint32_t gone = in_.pop();
        held_.remove(gone);
        out_.push(gone);
        place_[gone] = place::out;
        if (out_.size() > out_limit_) {
            place_[out_.pop()] = place::none;
        }
        return;
    }
    const std::uint32_t gone = main_.pop();
    held_.remove(gone);
    place_[gone] = place::none;
}

}  // namespace levee::lab
