#include "hit_ratio/policies/s3_fifo.hpp"

#include <algorithm>

namespace levee::lab {
namespace {

constexpr std::uint8_t most_uses = 3;
constexpr std::uint8_t uses_to_stay = 2;

}  // namespace

s3_fifo::s3_fifo(const policy_setup& setup)
    : held_(setup),
      links_(setup.distinct),
      small_(links_),
      main_(links_),
      ghosts_(links_),
      main_limit_(setup.capacity - std::max<std::uint64_t>(1, setup.capacity / 10)),
      ghost_limit_(setup.capacity / 10 * 9 + setup.capacity % 10 * 9 / 10),
      place_(setup.distinct, place::none),
      uses_(setup.distinct, 0) {}

bool s3_fifo::access(std::uint32_t id, std::uint32_t /*size*/) {
    if (held_.holds(id)) {
        uses_[id] = std::min<std::uint8_t>(most_uses, uses_[id] + 1);
        return true;
    }
    const bool returns = place_[id] == place::ghost;
    if (returns) {
        ghosts_.erase(id);
    }
    while (!held_.has_room_for(1)) {
        evict_one();
    }
    (returns ? main_ : small_).push(id);
    place_[id] = returns ? place::main : place::small;
    uses_[id] = 0;
    held_.add(id, 1);
    return false;
}

void s3_fifo::evict_one() {
    if (main_.size() > main_limit_ || !evict_from_small()) {
        evict_from_main();
    }
}

// False when the small queue held nothing that could go: all of it has moved to the main queue.
bool s3_fifo::evict_from_small() {
    while (!small_.empty()) {
        const std::uint32_t id = small_.pop();
        if (uses_[id] < uses_to_stay) {
            held_.remove(id);
            remember(id);
            return true;
        }
        main_.push(id);
        place_[id] = place::main;
        uses_[id] = 0;
    }
    return false;
}

void s3_fifo::evict_from_main() {
    while (uses_[main_.oldest()] > 0) {
        const std::uint32_t spared = main_.oldest();
        --uses_[spared];
        main_.renew(spared);
    }
    const std::uint32_t victim = main_.pop();
    place_[victim] = place::none;
    held_.remove(victim);
}

void s3_fifo::remember(std::uint32_t id) {
    ghosts_.push(id);
    place_[id] = place::ghost;
    if (ghosts_.size() > ghost_limit_) {
        place_[ghosts_.pop()] = place::none;
    }
}

}  // namespace levee::lab
