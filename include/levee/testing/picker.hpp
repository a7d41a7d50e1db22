/// What a balance simulation asks of a balancer, of levee's or of one's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "levee/core/clock.hpp"

namespace levee::testing {

/// How a simulated request ended, as its client sees it.
enum class request_outcome : std::uint8_t {
    ok,
    error,       ///< The server answered with a failure.
    overloaded,  ///< The server refused it at once, its queue being full.
    timeout,     ///< No answer within the client's timeout.
};

/// A request to be placed.
struct simulated_request {
    std::uint32_t slot = 0;      ///< Its place while it is under way: small numbers, used again.
    std::uint32_t client = 0;    ///< Who sends it.
    std::uint64_t key_hash = 0;  ///< For hashing strategies.
    time_point now{};
};

/// A request that ended. Reported once for each that was placed, unless the run ends before.
struct simulated_completion {
    std::uint32_t slot = 0;  ///< As in its simulated_request.
    std::size_t server = 0;
    request_outcome outcome = request_outcome::ok;
    duration latency{};  ///< From sending to here, network included.
    time_point now{};
};

/// A client's balancer in a simulation. `load_balancer_picker` makes one out of a levee::load_balancer.
///
///     struct first_choice final : testing::picker {
///         void set_servers(std::span<const std::size_t> known) override { known_.assign(...); }
///         std::size_t pick(const testing::simulated_request&) override { return known_.front(); }
///         void complete(const testing::simulated_completion&) override {}
///     };
///
/// Everything is called on the thread that runs the simulation.
class picker {
public:
    /// What `pick` answers when no server may be used.
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    virtual ~picker() = default;

    /// The servers that the client knows from now on, as indexes into the simulation's; at the start, and
    /// whenever one joins or leaves.
    virtual void set_servers(std::span<const std::size_t> known) = 0;

    /// The index of the server for this request, or `none`, and then it counts as refused.
    [[nodiscard]] virtual std::size_t pick(const simulated_request& request) = 0;

    virtual void complete(const simulated_completion& done) = 0;

protected:
    picker() = default;
    picker(const picker&) = default;
    picker& operator=(const picker&) = default;
};

}  // namespace levee::testing
