/// What a caller says about the request for which an endpoint is picked.
#pragma once

#include "levee/balance/endpoint.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace levee {

/// All fields may be left out. Views are read during `pick` only.
struct pick_context {
    /// The key's hash, finalised (`levee::hash`): hashing strategies send equal hashes to the same endpoint.
    /// Empty: they pick at random.
    std::optional<std::uint64_t> hash{};

    /// Endpoints not to pick, by `ticket::key()`: those already tried.
    std::span<const endpoint_key> exclude{};

    /// The caller's address as text, for `ip_hash`.
    std::string_view client{};

    /// The zone to prefer in place of `load_balancer_options::zone`; no effect where that is empty.
    std::string_view zone{};

    /// The id of an endpoint to take if it may be picked at all (a session's); otherwise the strategy picks.
    std::string_view sticky{};

    /// Zero for a request's first attempt; retries and hedges do not add to the retry budget.
    std::uint32_t attempt = 0;
};

/// Why `pick` returned nothing.
enum class pick_refusal : std::uint8_t {
    none,          ///< It did return something.
    no_endpoints,  ///< The set is empty, or all is drained.
    unavailable,   ///< None is healthy, and there is no panic; or all circuits are open.
    excluded,      ///< All that could be picked was excluded.
    busy,          ///< All that could be picked is at its limit of requests in flight.
    recovering,    ///< After an outage of all, requests are let through gradually.
};

}  // namespace levee
