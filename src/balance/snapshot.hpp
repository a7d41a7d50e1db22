/// What picks read: an immutable view of all that decides who can be picked.
#pragma once

#include "balance/endpoint_record.hpp"
#include "levee/balance/endpoint_set.hpp"
#include "levee/balance/explanation.hpp"
#include "levee/balance/strategy.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace levee::detail {

/// Candidates that the strategy chooses among: a tier, or its endpoints of one zone.
struct candidate_group {
    std::vector<candidate> members;
    std::vector<candidate> some_eligible;  // empty where all are or none is
    std::span<const candidate> eligible;   // into one of the two
    std::shared_ptr<const strategy_plan> plan;
    candidate_lists lists;   // the above, for picks
    std::size_t number = 0;  // for the threads' turns
    double fitness = 0.0;    // the share of members that is eligible
    bool is_panic = false;
};

struct tier {
    std::uint32_t priority = 0;
    candidate_group all;
    std::vector<std::pair<std::string, candidate_group>> zones;
    double load = 0.0;  // the share of picks that it is given, all tiers together 1
};

/// One endpoint of the set, picked from or not.
struct listing {
    std::shared_ptr<endpoint_record> record;
    std::shared_ptr<const endpoint> data;  // the newest
    double weight = 0.0;
    ineligibility why_not = ineligibility::none;
};

struct balancer_snapshot {
    std::vector<listing> listings;
    std::vector<tier> tiers;  // by priority

    /// One group, everybody eligible or not for good, nothing to ask besides the strategy.
    bool is_plain = false;
    bool is_timed = false;                        ///< `next_event` is a time.
    bool is_starting = false;                     ///< Some are in slow start.
    bool is_recovering = false;                   ///< Until `recovered_at`.
    time_point next_event = (time_point::max)();  ///< When another snapshot is due.
    time_point recovery_began{};
    double recovery_floor = 1.0;
};

}  // namespace levee::detail
