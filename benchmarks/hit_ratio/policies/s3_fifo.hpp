/// S3-FIFO.
#pragma once

#include <cstdint>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"
#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Three FIFO queues: new keys enter a small one (10 % of the capacity); what is used at least twice there
/// moves to the main one, the rest is evicted and its key kept in a ghost queue (90 % of the capacity in
/// entries); a key that is asked for while it is a ghost enters the main queue at once; the main queue is
/// a CLOCK with counts up to 3 (Yang, Zhang, Qiu, Yue, Vinayak, "FIFO queues are all you need for cache
/// eviction", SOSP 2023, algorithm 1).
///
/// Where the paper leaves room: an entry starts in the main queue with the count 0; the small queue gives
/// way unless the main queue is over its 90 %, as in libCacheSim.
///
/// By size: no.
class s3_fifo final : public policy {
public:
    explicit s3_fifo(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    enum class place : std::uint8_t { none, small, main, ghost };

    void evict_one();
    bool evict_from_small();
    void evict_from_main();
    void remember(std::uint32_t id);

    occupancy held_;
    id_links links_;
    id_list small_, main_, ghosts_;
    std::uint64_t main_limit_, ghost_limit_;
    std::vector<place> place_;
    std::vector<std::uint8_t> uses_;
};

}  // namespace levee::lab
