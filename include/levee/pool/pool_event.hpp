/// What a pool tells its observer.
#pragma once

#include <cstdint>
#include <exception>

#include "levee/core/clock.hpp"
#include "levee/pool/holder_label.hpp"

namespace levee {

enum class pool_event_kind : std::uint8_t {
    connected,       ///< A connection was made; `took` says how long that took.
    connect_failed,  ///< `error` says why, `took` after how long.
    acquired,        ///< Somebody (`label`) got a connection, after waiting for `took`.
    released,        ///< It came back, after being held for `took`.
    removed,         ///< A connection leaves the pool; `cause` says why. It is destroyed after this.
    leaked,          ///< `label` has held it for `took`, longer than `leak_threshold`. Said once a lease.
};

/// Why a connection left the pool.
enum class pool_removal : std::uint8_t {
    discarded,    ///< Its holder said so.
    idle,         ///< Idle for `idle_timeout`.
    expired,      ///< Older than its `max_lifetime`.
    invalid,      ///< Found broken or not in time, by `is_valid` or `reset`; `error` says more if they did.
    invalidated,  ///< `invalidate_all` was called after it was begun.
    closed,       ///< The pool closes.
};

struct pool_event {
    pool_event_kind kind{};
    std::uint64_t connection = 0;  ///< A number of its own for each connection ever tried; the first is 1.
    holder_label label{};
    duration took{};
    pool_removal cause{};
    std::exception_ptr error{};
};

}  // namespace levee
