/// In which order the servers of a connection string are tried, without a socket.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/postgres/connection_options.hpp"

namespace levee::postgres::detail {

struct server_address {
    std::string host{};     ///< As the user wrote it: for certificates, passwords and messages. May be empty.
    std::string address{};  ///< Numeric; empty for sockets' folders.
    std::string port{};

    [[nodiscard]] bool operator==(const server_address&) const = default;
};

/// One server after the other, each with a share of the time that is left, so that a silent one does not use
/// up all of it. `prefer_standby` goes round twice: for a standby, then for any.
class connect_plan {
public:
    connect_plan(std::vector<server_address> servers, server_role role)
        : servers_(std::move(servers)), role_(role) {}

    struct attempt {
        server_address where{};
        const char* session_attributes = "any";  ///< libpq's word for the role that will do.
        time_point deadline{};
    };
    /// Empty: all have been tried.
    [[nodiscard]] std::optional<attempt> next(time_point now, time_point deadline);

private:
    [[nodiscard]] std::size_t rounds() const noexcept { return role_ == server_role::prefer_standby ? 2 : 1; }

    std::vector<server_address> servers_;
    server_role role_;
    std::size_t tried_ = 0;
};

/// libpq's word for it.
[[nodiscard]] const char* session_attributes(server_role role) noexcept;

/// The role that libpq's word means; empty: no such word.
[[nodiscard]] std::optional<server_role> role_of(const std::string& word);

/// Pairs the lists of a connection string ("db1,db2", "", "5432"). Errors: std::invalid_argument if their
/// lengths do not fit.
[[nodiscard]] std::vector<server_address> pair_up(const std::string& hosts, const std::string& addresses,
                                                  const std::string& ports);

/// True if it has to be looked up: neither an address, nor a socket's folder, nor empty.
[[nodiscard]] bool is_name(const server_address& server);

}  // namespace levee::postgres::detail
