#include "hit_ratio/policies/arc.hpp"

#include <algorithm>

namespace levee::lab {

arc::arc(const policy_setup& setup)
    : held_(setup),
      links_(setup.distinct),
      recent_(links_),
      frequent_(links_),
      recent_ghosts_(links_),
      frequent_ghosts_(links_),
      place_(setup.distinct, place::none) {}

bool arc::access(std::uint32_t id, std::uint32_t /*size*/) {
    switch (place_[id]) {
        case place::recent:
            recent_.erase(id);
            frequent_.push(id);
            place_[id] = place::frequent;
            return true;
        case place::frequent:
            frequent_.renew(id);
            return true;
        case place::recent_ghost:  // recency was cut too short: a longer T1
            target_ = std::min<std::uint64_t>(
                held_.capacity(),
                target_ + std::max<std::uint64_t>(1, frequent_ghosts_.size() / recent_ghosts_.size()));
            replace(false);
            recent_ghosts_.erase(id);
            break;
        case place::frequent_ghost: {
            const std::uint64_t step =
                std::max<std::uint64_t>(1, recent_ghosts_.size() / frequent_ghosts_.size());
            target_ -= std::min(target_, step);
            replace(true);
            frequent_ghosts_.erase(id);
            break;
        }
        case place::none:
            make_room_for_a_new_key();
            recent_.push(id);
            place_[id] = place::recent;
            held_.add(id, 1);
            return false;
    }
    frequent_.push(id);
    place_[id] = place::frequent;
    held_.add(id, 1);
    return false;
}

// Case IV of the paper. Ghosts are bounded so that T1 + B1 <= c and all four lists together <= 2c.
void arc::make_room_for_a_new_key() {
    const std::uint64_t capacity = held_.capacity();
    const std::uint64_t seen_once = recent_.size() + recent_ghosts_.size();
    if (seen_once == capacity) {
        if (recent_ghosts_.empty()) {
            const std::uint32_t victim = recent_.pop();
            place_[victim] = place::none;
            held_.remove(victim);
            return;
        }
        place_[recent_ghosts_.pop()] = place::none;
        replace(false);
        return;
    }
    const std::uint64_t all = seen_once + frequent_.size() + frequent_ghosts_.size();
    if (all < capacity) {
        return;
    }
    if (all == 2 * capacity) {
        place_[frequent_ghosts_.pop()] = place::none;
    }
    replace(false);
}

// Evicts from T1 or T2, whichever is over its target, and remembers the key as a ghost.
void arc::replace(bool asked_for_a_frequent_ghost) {
    const bool from_recent = !recent_.empty() && (recent_.size() > target_ ||
                                                  (asked_for_a_frequent_ghost && recent_.size() == target_));
    id_list& list = from_recent ? recent_ : frequent_;
    id_list& ghosts = from_recent ? recent_ghosts_ : frequent_ghosts_;
    const std::uint32_t victim = list.pop();
    ghosts.push(victim);
    place_[victim] = from_recent ? place::recent_ghost : place::frequent_ghost;
    held_.remove(victim);
}

}  // namespace levee::lab
