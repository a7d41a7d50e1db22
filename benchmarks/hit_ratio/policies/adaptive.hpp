/// The policy of `local_cache` alone: no shards, threads or expiry.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::lab {

/// `local_cache`'s eviction policy, asked as one shard would ask it: what the cache itself should reach.
///
/// By size: yes.
class adaptive final : public policy {
public:
    explicit adaptive(const policy_setup& setup);
    ~adaptive() override;

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    class host;

    occupancy held_;
    std::unique_ptr<local_detail::eviction_policy> policy_;
    std::unique_ptr<host> host_;
    std::vector<local_detail::entry_id> entry_of_;  // by key id; meaningful while it is held
    std::vector<local_detail::entry_id> free_;
};

}  // namespace levee::lab
