/// When a connection is cleaned before its next user.
#pragma once

#include <cstdint>

namespace levee::postgres {

/// Cleaning takes away what a user left in the server's session: ROLLBACK if a transaction is open, and CLOSE
/// ALL, RESET ALL (with SET SESSION AUTHORIZATION DEFAULT), UNLISTEN *, pg_advisory_unlock_all, DISCARD TEMP.
/// It keeps the prepared statements. It is sent when the connection comes back, and the next user's statement
/// right behind it. A connection whose state is in doubt (a statement under way, SQL's PREPARE, LOAD) is
/// closed.
enum class reset_policy : std::uint8_t {
    /// What the statements' command tags and a look at their words say is necessary: SET, LISTEN, DECLARE,
    /// DO,
    /// CALL, advisory locks, temporary tables, … A function of one's own that does such a thing in silence is
    /// not
    /// noticed.
    by_command_tag,
    always,
    /// Nothing is cleaned; a connection that comes back within a transaction is closed.
    never,
};

}  // namespace levee::postgres
