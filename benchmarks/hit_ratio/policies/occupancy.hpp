/// Which ids are held, what each counts, and how much is taken of the capacity.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// The account of held entries that every policy keeps.
class occupancy {
public:
    explicit occupancy(const policy_setup& setup)
        : capacity_(setup.capacity), by_size_(setup.by_size), cost_(setup.distinct, 0) {}

    /// What a value of `size` bytes counts: at least 1.
    [[nodiscard]] std::uint32_t cost_of(std::uint32_t size) const noexcept {
        return by_size_ ? std::max<std::uint32_t>(size, 1) : 1;
    }
    [[nodiscard]] bool holds(std::uint32_t id) const noexcept { return cost_[id] != 0; }
    [[nodiscard]] bool can_ever_hold(std::uint32_t cost) const noexcept { return cost <= capacity_; }
    [[nodiscard]] bool has_room_for(std::uint32_t cost) const noexcept { return used_ + cost <= capacity_; }
    [[nodiscard]] std::uint32_t cost(std::uint32_t id) const noexcept { return cost_[id]; }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }

    void add(std::uint32_t id, std::uint32_t cost) noexcept {
        cost_[id] = cost;
        used_ += cost;
    }
    void remove(std::uint32_t id) noexcept {
        used_ -= cost_[id];
        cost_[id] = 0;
    }

private:
    std::uint64_t capacity_;
    std::uint64_t used_ = 0;
    bool by_size_;
    std::vector<std::uint32_t> cost_;  // zero: not held
};

}  // namespace levee::lab
