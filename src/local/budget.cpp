#include "levee/local/detail/budget.hpp"

#include <limits>

namespace levee::local_detail {
namespace {

constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

std::size_t bound(std::size_t max) noexcept {
    return max == 0 ? unbounded : max;
}

std::size_t missing(std::size_t need, std::size_t have) noexcept {
    return need > have ? need - have : 0;
}

}  // namespace

void insert_gate::enter() noexcept {
    for (;;) {
        inside_.fetch_add(1);
        if (!closed_.load()) {
            return;
        }
        leave();
        const std::lock_guard wait_for_the_one_alone(alone_);
    }
}

void insert_gate::leave() noexcept {
    if (inside_.fetch_sub(1) == 1 && closed_.load()) {
        inside_.notify_all();
    }
}

void insert_gate::close() noexcept {
    alone_.lock();
    closed_.store(true);
    for (std::uint32_t others = inside_.load(); others != 0; others = inside_.load()) {
        inside_.wait(others);
    }
}

void insert_gate::open() noexcept {
    closed_.store(false);
    alone_.unlock();
}

budget::budget(std::size_t max_entries, std::size_t max_weight) noexcept
    : max_entries_(bound(max_entries)), max_weight_(bound(max_weight)) {}

bool budget::take(std::atomic<std::size_t>& held, std::size_t wanted, std::size_t max) noexcept {
    if (wanted == 0) {
        return true;
    }
    std::size_t now = held.load(std::memory_order_relaxed);
    do {
        if (now > max || wanted > max - now) {
            return false;
        }
    } while (!held.compare_exchange_weak(now, now + wanted, std::memory_order_relaxed));
    return true;
}

bool budget::try_take(room wanted) noexcept {
    if (!take(entries_, wanted.entries, max_entries_.load(std::memory_order_relaxed))) {
        return false;
    }
    if (!take(weight_, wanted.weight, max_weight_)) {
        give({.entries = wanted.entries});
        return false;
    }
    return true;
}

void budget::give(room back) noexcept {
    if (back.entries != 0) {
        entries_.fetch_sub(back.entries, std::memory_order_relaxed);
    }
    if (back.weight != 0) {
        weight_.fetch_sub(back.weight, std::memory_order_relaxed);
    }
}

bool budget::could_fit(room wanted) const noexcept {
    return wanted.entries <= max_entries_.load(std::memory_order_relaxed) && wanted.weight <= max_weight_;
}

void budget::set_max_entries(std::size_t max_entries) noexcept {
    max_entries_.store(bound(max_entries), std::memory_order_relaxed);
}

std::size_t budget::excess_entries() const noexcept {
    return missing(entries_.load(std::memory_order_relaxed), max_entries_.load(std::memory_order_relaxed));
}

room budget::held() const noexcept {
    return {entries_.load(std::memory_order_relaxed), weight_.load(std::memory_order_relaxed)};
}

bool budget::has_weight(std::size_t wanted) const noexcept {
    return wanted <= missing(max_weight_, weight_.load(std::memory_order_relaxed));
}

reservation::~reservation() {
    leave();
}

void reservation::leave() noexcept {
    give_back();
    if (is_alone()) {
        budget_.gate.open();
    } else if (is_inside()) {
        budget_.gate.leave();
    }
    place_ = place::outside;
}

void reservation::enter() noexcept {
    budget_.gate.enter();
    place_ = place::inside;
}

bool reservation::cover(room need) noexcept {
    const room more{missing(need.entries, mine_.entries), missing(need.weight, mine_.weight)};
    if (more.entries == 0 && more.weight == 0) {
        return true;
    }
    if (!budget_.try_take(more)) {
        return false;
    }
    credit(more);
    return true;
}

bool reservation::is_short_of_weight(room need) const noexcept {
    return !budget_.has_weight(missing(need.weight, mine_.weight));
}

void reservation::credit(room freed) noexcept {
    mine_.entries += freed.entries;
    mine_.weight += freed.weight;
}

void reservation::spend(room used) noexcept {
    mine_.entries -= used.entries;
    mine_.weight -= used.weight;
}

void reservation::work_alone() noexcept {
    give_back();
    if (is_inside()) {
        budget_.gate.leave();
    }
    budget_.gate.close();
    place_ = place::alone;
}

void reservation::give_back() noexcept {
    budget_.give(mine_);
    mine_ = {};
}

}  // namespace levee::local_detail
