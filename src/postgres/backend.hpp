/// Whom a request to cancel is for.
#pragma once

#include <cstdint>

namespace levee::postgres::detail {

/// A process of the server's, and when it began: its number alone may be another's by the time that it is
/// asked to cancel.
struct backend {
    int process = 0;
    std::int64_t started = 0;  ///< Microseconds by the server's clock.
};

/// Asks the server who serves this connection: `process` and `started`. By functions: pg_stat_activity, a
/// view over them and catalogues that a new process has not read yet, takes a millisecond.
inline constexpr const char* who_serves =
    "SELECT pg_catalog.pg_stat_get_backend_pid(s), "
    "(extract(epoch FROM pg_catalog.pg_stat_get_backend_start(s)) * 1000000)::pg_catalog.int8 "
    "FROM pg_catalog.pg_stat_get_backend_idset() AS s "
    "WHERE pg_catalog.pg_stat_get_backend_pid(s) = pg_catalog.pg_backend_pid()";

/// Parameters: `process` and `started`. No row: that one has gone.
inline constexpr const char* cancel_backend =
    "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity "
    "WHERE pid = $1 AND (extract(epoch FROM backend_start) * 1000000)::pg_catalog.int8 = $2";

}  // namespace levee::postgres::detail
