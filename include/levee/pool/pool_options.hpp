/// What a connection pool is made from.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"
#include "levee/pool/pool_event.hpp"
#include "levee/resilience/backoff.hpp"

namespace levee {

/// Essential: `max_size`, `executor`. Frequent: the times. Rare: the rest.
struct pool_options {
    /// For people who read errors. Empty: "pool".
    std::string name{};

    /// Connections at most, those being made or closed included. In [1, 65535]. 10: what a database server
    /// with a few dozen cores does well, divided among a few processes.
    std::size_t max_size = 10;

    /// Connections kept ready although nobody asks. At most `max_size`. 0: they are made on demand.
    std::size_t min_idle = 0;

    /// How long a caller waits who brings no deadline: connecting and validating included. Above zero.
    duration acquire_timeout = std::chrono::seconds(5);

    /// Callers that may wait at the same time; more are refused at once, because a longer queue than what
    /// can be served before the deadline only makes everybody late. At most 65,535. 0: nobody waits, and
    /// connections are made for `min_idle` only, which must not be 0 then.
    std::size_t max_waiters = 256;

    /// A connection idle for so long is closed, as long as `min_idle` remain. 0: never.
    duration idle_timeout = std::chrono::minutes(10);

    /// A connection older than this is closed when it comes back or is idle: for servers that leak, and to
    /// follow changes of address. 0: never.
    duration max_lifetime = std::chrono::minutes(30);

    /// Each connection's life is longer or shorter by up to this share, so that those made together do not
    /// end together. In [0, 1).
    double lifetime_jitter = 0.1;

    /// A connection idle for so long is validated before it is handed out; fresher ones are trusted. 0:
    /// each time; duration::max(): never.
    duration validate_after_idle = std::chrono::milliseconds(500);

    /// A validation that takes longer has failed. Above zero.
    duration validation_timeout = std::chrono::seconds(1);

    /// A reset that takes longer has failed, and the connection is closed. Above zero.
    duration reset_timeout = std::chrono::seconds(1);

    /// A try to connect that takes longer has failed. Above zero.
    duration connect_timeout = std::chrono::seconds(5);

    /// Connections made at the same time, at most: a crowd of callers must not become a crowd of
    /// connections. At least 1.
    std::size_t max_connecting = 2;

    /// The wait after a failed try to connect. Half of it is certain, so that the rate stays bounded.
    backoff_options backoff{.jitter = backoff_jitter::equal};

    /// After so many failed tries in a row the database counts as down: one try at a time then, until one
    /// succeeds. 0: `max_connecting` as ever.
    std::size_t error_gate = 2;

    /// A connection held for longer is reported, once, as `pool_event_kind::leaked`. 0: off.
    duration leak_threshold{};

    /// Told of events, on whatever thread they happen, under no lock. It must not block; what it throws is
    /// ignored; it must not destroy the pool. Empty: nobody.
    std::function<void(const pool_event&)> observer{};

    /// Where connections are made, validated and reset, and where timers run. Needed unless `scheduler` is
    /// set. The pool keeps it busy until it is closed.
    boost::asio::any_io_executor executor{};

    /// Where factories of plain functions run. Needed for just those.
    boost::asio::any_io_executor blocking_executor{};

    /// Where time comes from for whoever waits. Null: real time on `executor`.
    std::shared_ptr<async::scheduler> scheduler{};

    /// Where time comes from that is only read, when a connection is at hand. It must outlive the pool and
    /// all its leases. Null: the scheduler's if that is set, else the coarse clock.
    const levee::clock* clock = nullptr;

    /// For jitter. 0: another one each time.
    std::uint64_t seed = 0;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const pool_options& options);

}  // namespace levee
