/// 2Q.
#pragma once

#include <cstdint>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// New keys enter a FIFO of a quarter of the capacity; keys that leave it are remembered (half of the
/// capacity in entries); what is asked for while it is remembered enters an LRU list (Johnson, Shasha, "2Q: a
/// low overhead high performance buffer management replacement algorithm", VLDB 1994, the full version).
///
/// By size: no.
class two_q final : public policy {
public:
    explicit two_q(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    enum class place : std::uint8_t { none, in, out, main };

    void evict_one();

    occupancy held_;
    id_links links_;
    id_list in_, out_, main_;
    std::uint64_t in_limit_, out_limit_;
    std::vector<place> place_;
};

}  // namespace levee::lab
