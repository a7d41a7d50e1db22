/// levee's own cache, replayed beside the reference policies.
#pragma once

#include <cstdint>
#include <levee/local/local_cache.hpp>

#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// A real `local_cache` with its default options: `get`, and `put` after a miss.
///
/// Whatever shards and hashes do to its hit ratio is included; `local_cache` never sees the dense ids'
/// order, only their hashes. By size: yes, by `max_weight`.
class levee_cache final : public policy {
public:
    explicit levee_cache(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override;

private:
    bool by_size_;
    local_cache<std::uint32_t, std::uint32_t> cache_;  // the value is the size
};

}  // namespace levee::lab
