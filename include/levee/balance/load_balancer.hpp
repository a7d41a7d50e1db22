/// Picks an endpoint for each request and learns from how the requests end.
#pragma once

#include "levee/balance/endpoint_set.hpp"
#include "levee/balance/explanation.hpp"
#include "levee/balance/least_response_time.hpp"
#include "levee/balance/load_balancer_options.hpp"
#include "levee/balance/outcome.hpp"
#include "levee/balance/pick_context.hpp"
#include "levee/balance/strategy.hpp"
#include "levee/balance/ticket.hpp"

#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace levee {

/// The balancer: who can be picked, who is picked, and what follows from how it went.
///
///     load_balancer balancer(endpoints, least_response_time{}, {.panic_threshold = 0.5});
///     std::vector<endpoint_key> tried;
///     if (auto pick = balancer.pick({.hash = h, .exclude = tried})) {
///         auto reply = call(pick->endpoint());
///         pick->complete(outcome::ok(latency));        // dropped: cancelled
///     }
///
/// *Who can be picked.* Endpoints of the lowest priority numbers, as far as they can carry the load; of
/// these, first the own zone's; of these, those that are healthy, not ejected and whose circuit is not
/// open, or all of them in panic. The strategy chooses among those. What is excluded, at its limit, refused
/// by a half-open circuit or still starting is passed over.
///
/// *What follows.* One outcome feeds the strategy's measurements, outlier detection, the circuit breaker,
/// the adaptive limit, the retry budget and the percentiles.
///
/// *How.* A snapshot of all this is immutable and read within an `epoch` pin. Whoever changes something
/// (an update of the set, a completion that ejects, a pick that finds an ejection over) makes the next one
/// on its own thread, under no lock, while picks go on by the old one. Requests in flight are counted for
/// each thread apart; shared counts exist only where the strategy or a limit reads them.
///
/// Thread safety: safe. Blocks: never, but for short mutexes when an endpoint fails.
/// Errors: std::invalid_argument from the constructor; std::bad_alloc.
class load_balancer {
public:
    /// Picks by `how`, any strategy object (or a unique_ptr to one, as `make_strategy` returns).
    template <std::derived_from<strategy> S>
    load_balancer(const endpoint_set& endpoints, S how, const load_balancer_options& options = {})
        : load_balancer(endpoints, std::unique_ptr<const strategy>(std::make_unique<S>(std::move(how))),
                        options) {}

    /// Errors: also std::invalid_argument if `how` is null.
    load_balancer(const endpoint_set& endpoints, std::unique_ptr<const strategy> how,
                  const load_balancer_options& options = {});

    /// By `least_response_time`.
    explicit load_balancer(const endpoint_set& endpoints, const load_balancer_options& options = {})
        : load_balancer(endpoints, least_response_time{}, options) {}

    load_balancer(const load_balancer&) = delete;
    load_balancer& operator=(const load_balancer&) = delete;

    /// Tickets that are out may be completed later.
    ~load_balancer();

    /// An endpoint for one request; empty if there is none, and `why` says why.
    /// Blocks: never. Errors: std::bad_alloc, what the strategy throws. Cost: 15 to 30 ns
    /// together with `ticket::complete`; 60 to 80 ns where there is more to ask than the strategy: limits,
    /// circuit breakers, zones, several priorities, endpoints that are ejected or starting.
    [[nodiscard]] std::optional<ticket> pick(const pick_context& context = {});
    [[nodiscard]] std::optional<ticket> pick(const pick_context& context, pick_refusal& why);

    /// Where a pick would go now, by `key_of` of the endpoint's id, without a ticket: nothing is counted or
    /// learnt. For what needs no outcome: a shard's or a cached key's home. Empty if there is none. What is
    /// returned is a value: the endpoint may be removed meanwhile.
    ///
    /// For one hash the hashing strategies answer as `pick` does, ineligible, excluded and starting endpoints
    /// passed over; half-open circuits and the recovery throttle, which only a request can try, are not
    /// looked at. Rotations take a turn. Strategies by load see nothing of the requests sent so.
    /// Blocks: never. Errors: std::bad_alloc, what the strategy throws. Cost: 6 ns and the
    /// strategy's own, 1 to 3 ns for a rotation or a table.
    [[nodiscard]] std::optional<endpoint_key> locate(const pick_context& context = {}) const {
        // Here, so that the optional is never in memory: reading a word just after its last byte was
        // written, as g++ returns one, stalls for longer than all the rest takes.
        endpoint_key found = 0;
        return find(context, found) ? std::optional<endpoint_key>(found) : std::nullopt;
    }

    /// All endpoints with what is known about them, in the order of the set. Cost: microseconds each.
    [[nodiscard]] std::vector<endpoint_status> status() const;

    /// The last picks, oldest first, at most `load_balancer_options::explain_picks`: who could be picked,
    /// with which scores, and why others were not.
    [[nodiscard]] std::vector<pick_explanation> explain() const;

    /// Removed (or changed) endpoints that still have requests in flight.
    [[nodiscard]] std::size_t draining() const;

private:
    [[nodiscard]] bool find(const pick_context& context, endpoint_key& found) const;

    std::shared_ptr<detail::balancer_core> core_;
};

}  // namespace levee
