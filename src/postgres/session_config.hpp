/// What the connections of one pool have in common.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "levee/postgres/connection_options.hpp"
#include "postgres/connect_plan.hpp"
#include "postgres/link.hpp"

namespace levee::postgres::detail {

class canceller;

struct session_config {
    /// Errors: std::invalid_argument; never with a password in it.
    explicit session_config(connection_options chosen);

    connection_options options;  // the scheduler is set
    std::vector<server_address> servers{};
    server_role role{};
    std::map<std::string, std::string> words{};  // for libpq, without those that say where the server is
    std::shared_ptr<canceller> cancels{};        // null: of a connection that cancels for others
};

/// Begins to connect; never null, but perhaps CONNECTION_BAD.
[[nodiscard]] pg_connection begin_connecting(const session_config& config, const connect_plan::attempt& to);

/// `text` without the password, should it be in it.
[[nodiscard]] std::string without_password(const session_config& config, std::string text);

}  // namespace levee::postgres::detail
