/// When a connection is cleaned before its next user.
#pragma once

#include <cstdint>

namespace levee::postgres {

/// Cleaning takes away what a user left in the server's session: ROLLBACK if a transaction is open, and CLOSE
/// ALL, RESET ALL (with SET SESSION AUTHORIZATION DEFAULT), UNLISTEN *, pg_advisory_unlock_all, DISCARD TEMP.
/// It keeps the prepared statements. It is sent when the connection comes back; the next user's statement is
/// sent once the server has said that it is done. A connection that could not be cleaned, or whose state is
/// in doubt (SQL's PREPARE, LOAD), is closed. What is not taken away: what sequences tell of the last user's
/// values (lastval, currval), the seed of random().
enum class reset_policy : std::uint8_t {
    /// What the statements' command tags and a look at their words say is necessary: SET, LISTEN, DECLARE,
    /// DO, CALL, advisory locks, temporary tables, … A function of one's own that does such a thing in
    /// silence
    /// is not noticed.
    by_command_tag,
    /// All of it, whatever was executed. A round trip before the next user's statement.
    always,
    /// Nothing is cleaned; a connection that comes back within a transaction is closed.
    never,
};

}  // namespace levee::postgres
