/// What a pool of PostgreSQL connections is made from.
#pragma once

#include <cstddef>

#include "levee/pool/pool_options.hpp"
#include "levee/postgres/connection_options.hpp"
#include "levee/postgres/reset_policy.hpp"

namespace levee::postgres {

/// Essential: `connection`.
struct pool_options {
    /// Where the server is. `role` says which of several servers connections are made to.
    connection_options connection{};

    /// Sizes and times: see there. An empty `executor` or `scheduler` is `connection`'s, an empty name
    /// "postgres".
    levee::pool_options pool{};

    /// After `query`, `execute` and `transaction`.
    reset_policy reset_on_return = reset_policy::by_command_tag;

    /// After `with_connection`, where anything may have been done.
    reset_policy reset_after_with_connection = reset_policy::always;

    /// Connections, beside those of `pool`, over which the statements of asynchronous callers are pipelined:
    /// those of `async_query` and `async_execute` that read or write rows and by their words leave nothing
    /// behind. While none of them is up, statements go as if this were 0. At most 1024. 0: none; each
    /// statement has a connection of its own while it runs.
    std::size_t multiplexed = 0;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const pool_options& options);

}  // namespace levee::postgres
