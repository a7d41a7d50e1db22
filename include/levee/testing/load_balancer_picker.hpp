/// A levee::load_balancer, with any strategy, as a client's balancer in a balance simulation.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "levee/balance/endpoint.hpp"
#include "levee/balance/endpoint_set.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/testing/balance_simulation.hpp"
#include "levee/testing/picker.hpp"

namespace levee::testing {

/// Picks by a load_balancer of its own, and tells it how requests ended.
///
///     const auto report = world.run([&](std::size_t client) {
///         return std::make_unique<load_balancer_picker>(world, client, std::make_unique<my_strategy>());
///     });
///
/// Server i is the endpoint with the id "i" and the port i. Thread safety: unsafe. Cost: the balancer's,
/// and moving its ticket.
class load_balancer_picker final : public picker {
public:
    /// What an endpoint is besides its id and port: weight, zone, priority. Empty: nothing.
    using description = std::function<endpoint(std::size_t server)>;

    /// The options' clock, if null, becomes the world's; their seed, if zero, comes from the world's seed
    /// and the client's number. Errors: std::invalid_argument for options out of range or a null strategy,
    /// or above 65,535 servers. The world must outlive this.
    load_balancer_picker(const balance_simulation& world, std::size_t client,
                         std::unique_ptr<const strategy> how, load_balancer_options options = {},
                         description describe = {});

    void set_servers(std::span<const std::size_t> known) override;
    [[nodiscard]] std::size_t pick(const simulated_request& request) override;
    void complete(const simulated_completion& done) override;

    /// For looking inside, and for setting health by hand. Null before the simulation begins.
    [[nodiscard]] load_balancer* balancer() noexcept { return balancer_ ? &*balancer_ : nullptr; }
    [[nodiscard]] endpoint_set& endpoints() noexcept { return endpoints_; }

private:
    std::unique_ptr<const strategy> how_;  // until the balancer is made
    load_balancer_options options_;
    description describe_;
    endpoint_set endpoints_;
    std::optional<load_balancer> balancer_;       // made with the first servers, which are no newcomers then
    std::vector<std::optional<ticket>> tickets_;  // by slot
};

}  // namespace levee::testing
