#include "hit_ratio/policies/belady.hpp"

namespace levee::lab {
namespace {

constexpr std::uint32_t never = 0xffffffff;

}  // namespace

belady::belady(const policy_setup& setup) : held_(setup), next_use_(setup.future.size()) {
    std::vector<std::uint32_t> seen_at(setup.distinct, never);
    for (std::size_t i = setup.future.size(); i-- > 0;) {
        next_use_[i] = seen_at[setup.future[i]];
        seen_at[setup.future[i]] = static_cast<std::uint32_t>(i);
    }
}

bool belady::access(std::uint32_t id, std::uint32_t /*size*/) {
    const bool hit = held_.holds(id);
    if (!hit) {
        if (!held_.has_room_for(1)) {
            held_.remove(by_next_use_.top().second);
            by_next_use_.pop();
        }
        held_.add(id, 1);
    }
    by_next_use_.emplace(next_use_.at(position_++), id);
    return hit;
}

}  // namespace levee::lab
