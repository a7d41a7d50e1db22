/// Where a PostgreSQL server is, and how a connection treats it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"
#include "levee/postgres/error.hpp"

namespace levee::postgres {

/// libpq's `target_session_attrs`: which of several servers will do.
enum class server_role : std::uint8_t {
    any,
    read_write,      ///< Takes writes: no standby, and default_transaction_read_only is off.
    read_only,       ///< Takes no writes.
    primary,         ///< Not a standby.
    standby,         ///< A standby.
    prefer_standby,  ///< A standby if there is one, else any.
};

/// Essential: `uri` or the fields below it, `executor`. What neither says comes from libpq's environment
/// variables (PGHOST, PGUSER, …), `~/.pgpass` and its defaults.
struct connection_options {
    /// "postgresql://user@db1,db2:5433/shop?sslmode=verify-full" or "host=db1,db2 dbname=shop": all of
    /// libpq's words, several hosts and TLS included, but for `service`: that is left to the environment
    /// variable PGSERVICE. It may hold a password; it is never part of a message.
    std::string uri{};

    // These, when not empty, replace what `uri` says.
    std::string host{};  ///< A name, an address, a socket's folder; several with commas between.
    std::string port{};  ///< One for all hosts, or one for each.
    std::string database{};
    std::string user{};
    std::string password{};          ///< Never part of a message.
    std::string application_name{};  ///< Shown by pg_stat_activity. Empty: "levee".

    /// Run-time settings of the session, {"search_path", "shop"}: in effect from its beginning, and again
    /// after RESET ALL.
    std::vector<std::pair<std::string, std::string>> settings{};

    /// Servers of another role are passed over. `any` leaves it to what `uri` says of target_session_attrs.
    server_role role = server_role::any;

    /// Where connecting, and the work of asynchronous callers, runs. Required; must outlive the connection.
    boost::asio::any_io_executor executor{};

    /// Where names are looked up. Required if a host is a name; addresses and sockets' folders do without.
    boost::asio::any_io_executor blocking_executor{};

    /// How long a statement may take that does not say so itself. Above zero.
    duration statement_timeout = std::chrono::seconds(30);

    /// How long connecting may take, all hosts together; each gets its share of what is left. Above zero.
    duration connect_timeout = std::chrono::seconds(5);

    /// After a time-out or a cancellation: how long the server may take to stop the statement, before the
    /// connection is closed. Above zero.
    duration cancel_timeout = std::chrono::seconds(2);

    /// Statements kept prepared, each connection; the one not used for longest makes room. Zero: none is
    /// prepared, for poolers between that do not know them. At most 65,535.
    std::size_t max_prepared = 256;

    /// Statements that wait for an answer or to be sent, each connection; more are refused with
    /// errc::queue_full. Above zero.
    std::size_t max_pending = 65'536;

    /// Notifications kept until somebody waits for them; later ones push out the oldest. Above zero.
    std::size_t max_notifications = 4096;

    /// Told of the server's notices and warnings, under no lock, on whatever thread reads them, on
    /// several at a time. It must not block; what it throws is ignored. Empty: nobody.
    std::function<void(const server_message&)> on_notice{};

    /// Where time comes from for asynchronous callers. Null: real time on `executor`. Blocking callers keep
    /// real time.
    std::shared_ptr<async::scheduler> scheduler{};
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range. It never
/// shows `uri` or `password`.
void validate(const connection_options& options);

}  // namespace levee::postgres
