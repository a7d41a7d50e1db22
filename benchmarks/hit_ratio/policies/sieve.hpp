/// SIEVE.
#pragma once

#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// A FIFO queue with a hand that moves from the oldest to the newest, clears visited bits on its way,
/// evicts the first unvisited entry and stays there; survivors keep their place in the queue (Zhang,
/// Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU", NSDI 2024).
///
/// By size: yes (the paper has unit sizes; the hand moves on until the new entry fits).
class sieve final : public policy {
public:
    explicit sieve(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    void evict_one();

    occupancy held_;
    id_links links_;
    id_list queue_;
    std::uint32_t hand_ = no_id;  // none: start at the oldest
    std::vector<bool> visited_;
};

}  // namespace levee::lab
