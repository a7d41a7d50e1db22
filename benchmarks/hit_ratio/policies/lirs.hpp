/// LIRS.
#pragma once

#include <cstdint>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Keys with a low inter-reference recency have 99 % of the capacity, the others pass through a queue of 1 %;
/// a stack by recency, pruned below its oldest low key, remembers keys that are not held (Jiang, Zhang,
/// "LIRS", SIGMETRICS 2002).
///
/// By size: no.
class lirs final : public policy {
public:
    explicit lirs(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    void renew_in_stack(std::uint32_t id);
    void make_low(std::uint32_t id);
    void prune();

    occupancy held_;
    id_links stack_links_, queue_links_;
    id_list stack_, queue_;
    std::uint64_t low_limit_;
    std::uint64_t lows_ = 0;
    std::vector<bool> is_low_, in_stack_;
};

}  // namespace levee::lab
