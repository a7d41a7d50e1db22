/// Makes a session.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>

#include "postgres/session.hpp"

namespace levee::postgres::detail {

/// Looks names up on the blocking executor, and tries one server after the other until one will do. On a
/// strand, or another executor that runs one handler at a time. `only`: that server, whatever its role.
///
/// Errors: levee::errc::timeout; errc::not_connected, or the server's SQLSTATE, with what libpq said;
/// errc::wrong_role.
[[nodiscard]] boost::asio::awaitable<std::shared_ptr<session>> establish(
    std::shared_ptr<const session_config> config, time_point deadline, bool is_shared,
    std::optional<server_address> only);

}  // namespace levee::postgres::detail
