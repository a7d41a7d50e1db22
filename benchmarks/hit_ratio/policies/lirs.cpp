#include "hit_ratio/policies/lirs.hpp"

#include <algorithm>

namespace levee::lab {

lirs::lirs(const policy_setup& setup)
    : held_(setup),
      stack_links_(setup.distinct),
      queue_links_(setup.distinct),
      stack_(stack_links_),
      queue_(queue_links_),
      low_limit_(setup.capacity - std::max<std::uint64_t>(1, setup.capacity / 100)),
      is_low_(setup.distinct, false),
      in_stack_(setup.distinct, false) {}

bool lirs::access(std::uint32_t id, std::uint32_t /*size*/) {
    if (is_low_[id]) {
        renew_in_stack(id);
        prune();
        return true;
    }
    const bool is_hit = held_.holds(id);
    if (!is_hit) {
        if (!held_.has_room_for(1)) {
            held_.remove(queue_.pop());
        }
        held_.add(id, 1);
        if (!in_stack_[id] && lows_ < low_limit_) {
            ++lows_;
            is_low_[id] = true;
            renew_in_stack(id);
            return false;
        }
    } else {
        queue_.erase(id);
    }
    const bool was_in_stack = in_stack_[id];
    renew_in_stack(id);
    if (was_in_stack && low_limit_ > 0) {
        make_low(id);
    } else {
        queue_.push(id);
    }
    return is_hit;
}

void lirs::renew_in_stack(std::uint32_t id) {
    if (in_stack_[id]) {
        stack_.erase(id);
    }
    stack_.push(id);
    in_stack_[id] = true;
}

// The stack's oldest low key gives up its place.
void lirs::make_low(std::uint32_t id) {
    is_low_[id] = true;
    if (lows_ < low_limit_) {
        ++lows_;
        return;
    }
    const std::uint32_t demoted = stack_.pop();
    in_stack_[demoted] = false;
    is_low_[demoted] = false;
    queue_.push(demoted);
    prune();
}

void lirs::prune() {
    while (!stack_.empty() && !is_low_[stack_.oldest()]) {
        in_stack_[stack_.pop()] = false;
    }
}

}  // namespace levee::lab
