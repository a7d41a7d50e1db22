/// Hashing by the client's address.
#pragma once

#include "levee/balance/hashing.hpp"

#include <optional>
#include <string_view>

namespace levee {

struct ip_hash_options {
    unsigned ipv4_bits = 24;  ///< Of an IPv4 address; clients that share them share an endpoint. In [1, 32].
    unsigned ipv6_bits = 64;  ///< In [1, 128].
    double bounded_load = 0.0;  ///< See `bounded_load_options`.
};

/// Sends clients of one network to the same endpoint, by `pick_context::client`: a client's sessions stay
/// together without cookies. An address that is none is hashed as text; without one, `hash` decides.
/// Rendezvous hashing, where nginx takes a remainder, which would move most clients with each change.
class ip_hash final : public hashing_strategy {
public:
    /// Errors: std::invalid_argument.
    explicit ip_hash(const ip_hash_options& options = {});

    [[nodiscard]] std::string name() const override { return "ip_hash"; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;

private:
    ip_hash_options options_;
};

}  // namespace levee
