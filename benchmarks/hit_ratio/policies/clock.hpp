/// CLOCK, or second chance.
#pragma once

#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// FIFO in which an entry that was used since the hand last passed gets another round (Corbató, "A paging
/// experiment with the Multics system", 1969). One reference bit; an admitted entry starts without it.
///
/// By size: yes.
class clock_policy final : public policy {
public:
    explicit clock_policy(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    void evict_one();

    occupancy held_;
    id_links links_;
    id_list ring_;  // the hand stands at the oldest
    std::vector<bool> referenced_;
};

}  // namespace levee::lab
