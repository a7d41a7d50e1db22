#include "levee/local/detail/timer_wheel.hpp"

#include <algorithm>

namespace levee::local_detail {

timer_wheel::timer_wheel(std::int64_t now) : tick_(tick_of(now)), now_(now) {
    links_.reserve(lists, lists);
    for (std::uint32_t list = due; list < lists; ++list) {
        link(list, list);
    }
}

void timer_wheel::push(std::uint32_t list, std::uint32_t item) noexcept {
    link(previous(list), item);
    link(item, list);
}

void timer_wheel::unlink(std::uint32_t item) noexcept {
    link(previous(item), next(item));
    links_.set_first(item, 0);
}

void timer_wheel::schedule(entry_id id, std::int64_t end) noexcept {
    const std::uint64_t tick = std::max(tick_of(end), tick_);
    unsigned level = 0;
    std::uint64_t position = tick;
    while (position - (tick_ >> level * bits) >= 64) {
        if (++level == levels) {  // beyond the wheel: asked again when the last bucket comes up
            level = levels - 1;
            position = (tick_ >> level * bits) + 63;
            break;
        }
        position = tick >> level * bits;
    }
    const auto bucket = static_cast<std::uint32_t>(position & 63U);
    filled_[level] |= std::uint64_t{1} << bucket;
    push(first_bucket + level * 64 + bucket, lists + id);
    if (end <= now_) {
        is_current_ = false;
    }
}

void timer_wheel::cancel(entry_id id) noexcept {
    if (contains(id)) {
        unlink(lists + id);
    }
}

/// A bucket's entries are to be asked.
void timer_wheel::take(unsigned level, std::uint64_t position) noexcept {
    const auto bucket = static_cast<std::uint32_t>(position & 63U);
    const std::uint32_t list = first_bucket + level * 64 + bucket;
    filled_[level] &= ~(std::uint64_t{1} << bucket);
    if (is_empty(list)) {
        return;
    }
    link(previous(due), next(list));
    link(previous(list), due);
    link(list, list);
}

/// On to the next tick at which a bucket with entries comes up, on any level, but not beyond `target`.
void timer_wheel::next_tick(std::uint64_t target) noexcept {
    take(0, tick_);  // all that end in this tick have ended
    std::uint64_t next = target;
    for (unsigned level = 0; level < levels; ++level) {
        if (filled_[level] == 0) {
            continue;
        }
        const std::uint64_t position = tick_ >> level * bits;
        const int from = static_cast<int>((position + 1) & 63U);
        const auto steps = static_cast<std::uint64_t>(std::countr_zero(std::rotr(filled_[level], from)));
        next = std::min(next, (position + 1 + steps) << level * bits);
    }
    tick_ = next;
    for (unsigned level = 1; level < levels; ++level) {
        if ((tick_ & ((std::uint64_t{1} << level * bits) - 1)) != 0) {
            break;
        }
        take(level, tick_ >> level * bits);
    }
}

}  // namespace levee::local_detail
