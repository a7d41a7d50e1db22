/// One attempt of a request at one endpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "levee/balance/endpoint.hpp"
#include "levee/balance/outcome.hpp"
#include "levee/balance/ticket.hpp"
#include "levee/core/clock.hpp"

namespace levee::route {

namespace detail {
class execution;
}

/// What the function that `execute` runs is given. Valid until the function has ended.
///
/// Thread safety: unsafe.
class attempt {
public:
    /// Made by `execute`; public for tests of functions that take one.
    attempt(ticket picked, std::uint32_t number, time_point began, time_point deadline)
        : ticket_(std::move(picked)), number_(number), began_(began), deadline_(deadline) {}
    attempt(const attempt&) = delete;
    attempt& operator=(const attempt&) = delete;

    [[nodiscard]] const levee::endpoint& endpoint() const noexcept { return ticket_.endpoint(); }

    /// 0 for the first one.
    [[nodiscard]] std::uint32_t number() const noexcept { return number_; }

    /// When this attempt should have ended. A blocking function has to keep to it by itself; a coroutine is
    /// cancelled.
    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }

    /// Says how it went, where that is not told by returning (ok) or by what is thrown: a reply that says
    /// "too busy", or an error of the request and not of the endpoint. The last call counts.
    void report(outcome_kind kind) noexcept { reported_ = kind; }

    /// Nothing of the request was sent: if this attempt fails, another may be made in any case.
    void mark_unsent() noexcept { is_unsent_ = true; }

private:
    friend detail::execution;

    ticket ticket_;
    std::uint32_t number_;
    time_point began_;
    time_point deadline_;
    std::optional<outcome_kind> reported_;
    bool is_unsent_ = false;
};

}  // namespace levee::route
