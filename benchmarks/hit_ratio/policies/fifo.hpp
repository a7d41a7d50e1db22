/// First in, first out.
#pragma once

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Evicts what was admitted first (Belady, "A study of replacement algorithms", IBM Systems Journal 1966).
///
/// By size: yes.
class fifo final : public policy {
public:
    explicit fifo(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    occupancy held_;
    id_links links_;
    id_list queue_;
};

}  // namespace levee::lab
