/// The endpoints that balancers choose from, and what health checks say about them.
#pragma once

#include "levee/balance/endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

namespace levee {

/// One endpoint of a snapshot.
struct listed_endpoint {
    std::shared_ptr<const endpoint> data;  ///< Never null; the same object as long as nothing in it changes.
    endpoint_key key = 0;
    bool is_healthy = true;    ///< What `set_health` said last.
    bool is_draining = false;  ///< What `set_draining` said last.
};

/// An immutable state of an `endpoint_set`.
struct endpoint_list {
    std::uint64_t version = 0;                 ///< Grows with each change.
    std::vector<listed_endpoint> endpoints{};  ///< In the order of the last update; no id twice.
};

/// What an update did.
struct endpoint_changes {
    std::size_t added = 0;
    std::size_t changed = 0;  ///< Same id, other data.
    std::size_t removed = 0;
    std::size_t duplicates = 0;  ///< Ignored: an earlier one of the update has the same id.
    bool reordered = false;      ///< Some that stayed stand elsewhere now.
};

namespace detail {
class endpoint_set_core;

/// Told of each change, on the thread that made it, under no lock.
class endpoint_listener {
public:
    virtual void endpoints_changed() = 0;

protected:
    ~endpoint_listener() = default;
};

}  // namespace detail

/// A set of endpoints that may change while balancers pick from it. A handle: copies are the same set.
///
///     endpoint_set endpoints({{.host = "10.0.0.1", .port = 80}, {.host = "10.0.0.2", .port = 80}});
///     load_balancer balancer(endpoints, least_response_time{});
///     endpoints.update(discover());      // what stays keeps its health and all that was measured
///
/// What was removed gets no new picks from the moment the call returns; tickets that are out finish as
/// they would have. Balancers rebuild their tables inside the call, on the caller's thread, and no pick
/// waits for that. If two threads change the set at once, the one that returns first may do so shortly
/// before its change is picked from.
///
/// Thread safety: safe. Blocks: shortly, on a mutex under which only plain data is moved.
/// Errors: std::bad_alloc; std::invalid_argument for a negative or infinite weight, and nothing changed;
/// what a user's strategy throws while it prepares, and then picks go on by the old state.
/// Cost of a change: linear in the size of the set, 5 to 10 ms for 10,000, and the strategies' tables: 3 ms
/// for `maglev`, 30 ms for `ring_hash`.
class endpoint_set {
public:
    endpoint_set();
    explicit endpoint_set(std::vector<endpoint> endpoints);
    endpoint_set(std::initializer_list<endpoint> endpoints);

    /// Replaces the endpoints. Those whose id was there before keep health, draining and measurements.
    endpoint_changes update(std::vector<endpoint> endpoints);

    /// Adds one, or changes the one with this id. True if it is new.
    bool add(endpoint added);

    /// Removes one. False if there was none.
    bool remove(std::string_view id);

    /// What a health check found: an unhealthy endpoint is picked only in panic. New ones are healthy.
    /// False if there is no such endpoint, or it was so already.
    bool set_health(std::string_view id, bool is_healthy);

    /// A draining endpoint gets no new picks, not even in panic; its tickets finish. False as above.
    bool set_draining(std::string_view id, bool is_draining);

    /// The state now; never null. Cost: a mutex and a reference count; not for hot paths.
    [[nodiscard]] std::shared_ptr<const endpoint_list> snapshot() const;

    [[nodiscard]] std::size_t size() const { return snapshot()->endpoints.size(); }

    /// For balancers: `listener` is told of every change as long as it lives.
    void subscribe(const std::weak_ptr<detail::endpoint_listener>& listener);

private:
    std::shared_ptr<detail::endpoint_set_core> core_;
};

}  // namespace levee
