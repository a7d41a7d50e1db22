/// Adaptive replacement cache.
#pragma once

#include <cstdint>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Two LRU lists, for what was seen once and more often, each followed by a list of keys lately evicted
/// from it; hits in those move the boundary between the two (Megiddo and Modha, "ARC: a self-tuning, low
/// overhead replacement cache", FAST 2003, figure 4).
///
/// The paper does not say whether the step of the boundary is rounded. Here it is (integer division, at
/// least 1), which gives the published figures of this project's traces; without rounding they move by
/// up to 0.54 points.
///
/// By size: no.
class arc final : public policy {
public:
    explicit arc(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    enum class place : std::uint8_t { none, recent, frequent, recent_ghost, frequent_ghost };

    void make_room_for_a_new_key();
    void replace(bool asked_for_a_frequent_ghost);

    occupancy held_;
    id_links links_;
    id_list recent_, frequent_;                // T1 and T2 of the paper
    id_list recent_ghosts_, frequent_ghosts_;  // B1 and B2
    std::uint64_t target_ = 0;                 // p: how long T1 should be
    std::vector<place> place_;
};

}  // namespace levee::lab
