/// OPT: the policy that knows the future.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "hit_ratio/policies/occupancy.hpp"
#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// Evicts what is used again latest: the most hits that are possible when every missed key is admitted
/// (Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 1966).
///
/// A policy that may decline to admit could in theory end a little above it: at most 0.7 points on the
/// traces of this project. `access` must be called for exactly the requests of `policy_setup::future`, in
/// order.
///
/// By size: no; with sizes the optimum is NP-hard.
class belady final : public policy {
public:
    explicit belady(const policy_setup& setup);

    bool access(std::uint32_t id, std::uint32_t size) override;
    [[nodiscard]] std::uint64_t used() const override { return held_.used(); }

private:
    occupancy held_;
    std::vector<std::uint32_t> next_use_;  // of each request: the position of its key's next request
    std::size_t position_ = 0;
    // (next use, id), the latest on top. What a hit made obsolete lies in the past: it sinks below
    // everything that is held and is never popped.
    std::priority_queue<std::pair<std::uint32_t, std::uint32_t>> by_next_use_;
};

}  // namespace levee::lab
