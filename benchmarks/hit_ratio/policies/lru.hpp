/// Least recently used.
#pragma once

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Evicts what was not used for longest (Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for
/// storage hierarchies", IBM Systems Journal 1970).
///
/// By size: yes.
class lru final : public policy {
public:
    explicit lru(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    occupancy held_;
    id_links links_;
    id_list queue_;
};

}  // namespace levee::lab
