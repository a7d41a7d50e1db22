/// One place that requests can be sent to.
#pragma once

#include "levee/core/hash.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace levee {

/// A replica, shard, cache or upstream, as configuration or discovery knows it. A value; what is measured
/// about it is kept by each `load_balancer`, under its id.
struct endpoint {
    /// What it is known by across updates: same id, same endpoint, wherever it stands in a list. Empty: an
    /// `endpoint_set` makes it "host:port".
    std::string id{};

    std::string host{};
    std::uint16_t port = 0;

    /// Its share relative to the others. Zero: drained, it gets nothing new. Empty: not known, and then it
    /// counts like the mean of those that are known (1 if none is).
    std::optional<double> weight{};

    /// Tier: a higher number is used only as far as the lower ones cannot carry the load.
    std::uint32_t priority = 0;

    /// Where it stands; compared with `load_balancer_options::zone`. Empty: nowhere in particular.
    std::string zone{};

    /// For the program's own use and for strategies that read them.
    std::vector<std::pair<std::string, std::string>> labels{};

    friend bool operator==(const endpoint&, const endpoint&) = default;
};

/// The finalised hash of an endpoint's id: what hashing strategies and exclusions go by.
using endpoint_key = std::uint64_t;

[[nodiscard]] inline endpoint_key key_of(std::string_view id) noexcept {
    return hash_bytes(id.data(), id.size());
}

}  // namespace levee
