/// A picked endpoint, until its request has ended.
#pragma once

#include "levee/balance/endpoint.hpp"
#include "levee/balance/outcome.hpp"
#include "levee/core/clock.hpp"
#include "levee/resilience/circuit_breaker.hpp"

#include <utility>

namespace levee {

namespace detail {
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class balancer_core;
struct endpoint_record;

struct picked {
    endpoint_record* record = nullptr;
    time_point at = (time_point::min)();  // the lowest: the clock was not read
    bool is_first_attempt = true;
    circuit_breaker::permit permit{};
};

void complete_pick(picked& pick, const outcome& how) noexcept;
const endpoint& endpoint_of(const endpoint_record& record) noexcept;
endpoint_key key_of(const endpoint_record& record) noexcept;
}  // namespace detail

/// Leave to send one request to one endpoint. Complete it once; a ticket that is dropped has been
/// cancelled, which says nothing about the endpoint.
///
/// It may outlive the endpoint's removal from the set, and the load_balancer; it may be completed on any
/// thread. Thread safety: distinct objects: safe; shared objects: unsafe.
class [[nodiscard]] ticket {
public:
    ticket(ticket&& other) noexcept : pick_(std::move(other.pick_)) { other.pick_.record = nullptr; }
    ticket& operator=(ticket&& other) noexcept {
        if (this != &other) {
            complete(outcome::cancelled());
            pick_ = std::move(other.pick_);
            other.pick_.record = nullptr;
        }
        return *this;
    }
    ~ticket() { complete(outcome::cancelled()); }

    /// The endpoint as it was when it was picked. Precondition: not completed. Valid until then.
    [[nodiscard]] const levee::endpoint& endpoint() const noexcept {
        return detail::endpoint_of(*pick_.record);
    }

    /// For `pick_context::exclude`. Precondition: not completed.
    [[nodiscard]] endpoint_key key() const noexcept { return detail::key_of(*pick_.record); }

    /// False once it was completed or moved from.
    [[nodiscard]] explicit operator bool() const noexcept { return pick_.record != nullptr; }

    /// Says how the request ended. The first call counts; later ones do nothing and return false.
    bool complete(const outcome& how) noexcept {
        if (pick_.record == nullptr) {
            return false;
        }
        detail::complete_pick(pick_, how);
        return true;
    }

    /// For the balancer.
    ticket(detail::endpoint_record& record, time_point at, bool is_first_attempt,
           circuit_breaker::permit&& permit) noexcept
        : pick_{&record, at, is_first_attempt, std::move(permit)} {}

private:
    detail::picked pick_;
};

}  // namespace levee
