/// Why no connection could be had.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/error.hpp"

namespace levee {

enum class pool_failure : std::uint8_t {
    exhausted,      ///< errc::timeout: all connections were held until the deadline; `holders` says by whom.
    connecting,     ///< errc::timeout: none was made or checked in time, though nothing failed.
    database_down,  ///< errc::timeout: none could be made; `last_connect_error` says why.
    queue_full,     ///< errc::unavailable: `max_waiters` wait already.
    cancelled,      ///< errc::cancelled: the caller gave up.
    closed,         ///< errc::closed: the pool is draining, closed or gone.
};

/// Somebody who holds a connection.
struct pool_holder {
    std::string label;
    duration held_for{};
};

/// What `acquire` fails with. `what()` says all of it in one line:
///
///     acquire from pool "orders": all 10 connections are held, for the longest time by
///     checkout.cpp:41 (12.3 s), report (8.01 s), checkout.cpp:41 (77 ms): the deadline passed
class pool_error : public error {
public:
    struct details {
        pool_failure reason{};
        std::vector<pool_holder> holders{};  ///< The three who held longest, the longest first.
        std::exception_ptr last_connect_error{};
    };

    pool_error(errc code, const std::string& what, details all)
        : error(code, what), all_(std::make_shared<const details>(std::move(all))) {}

    [[nodiscard]] pool_failure reason() const noexcept { return all_->reason; }

    /// Who held connections when this was made, longest first, three at most.
    [[nodiscard]] const std::vector<pool_holder>& holders() const noexcept { return all_->holders; }

    /// What the last try to connect failed with; null if the last one succeeded, or there was none.
    [[nodiscard]] std::exception_ptr last_connect_error() const noexcept { return all_->last_connect_error; }

private:
    std::shared_ptr<const details> all_;  // shared: exceptions are copied where nothing may throw
};

}  // namespace levee
