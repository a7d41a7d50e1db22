#include "levee/local/detail/clock_ring.hpp"

namespace levee::local_detail {

clock_ring::clock_ring() noexcept {
    clear();
}

void clock_ring::push_back(entry_base& item) noexcept {
    link_back(item);
    ++size_;
}

void clock_ring::remove(entry_base& item) noexcept {
    if (item.next == nullptr) {
        return;
    }
    unlink(item);
    item.previous = item.next = nullptr;
    --size_;
}

void clock_ring::replace(entry_base& old, entry_base& fresh) noexcept {
    fresh.previous = old.previous;
    fresh.next = old.next;
    fresh.previous->next = &fresh;
    fresh.next->previous = &fresh;
    old.previous = old.next = nullptr;
}

entry_base* clock_ring::victim(time_point now, const entry_base* keep) noexcept {
    // The first round clears every reference bit, so the second finds a victim if there is one.
    for (std::size_t steps = 2 * size_; steps > 0; --steps) {
        entry_base* front = end_.next;
        if (front != keep && (!front->referenced || front->is_expired(now))) {
            return front;
        }
        if (front != keep) {
            front->referenced = false;
        }
        unlink(*front);
        link_back(*front);
    }
    return nullptr;
}

void clock_ring::clear() noexcept {
    end_.previous = end_.next = &end_;
    size_ = 0;
}

void clock_ring::link_back(entry_base& item) noexcept {
    item.previous = end_.previous;
    item.next = &end_;
    end_.previous->next = &item;
    end_.previous = &item;
}

void clock_ring::unlink(entry_base& item) noexcept {
    item.previous->next = item.next;
    item.next->previous = item.previous;
}

}  // namespace levee::local_detail
