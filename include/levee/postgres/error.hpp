/// What can go wrong between a client and a PostgreSQL server.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "levee/core/error.hpp"

namespace levee::postgres {

/// Codes of the connection. What the server itself refused carries its SQLSTATE (`sql_error`). A deadline
/// that passed is `levee::errc::timeout`, a cancelled call `levee::errc::cancelled`, a closed object
/// `levee::errc::closed`.
enum class errc {
    connection_lost = 1,  ///< The connection broke with the statement sent and not answered.
    not_connected,        ///< There is no connection, and none could be made; nothing was sent.
    queue_full,           ///< Too many statements wait already; this one was not queued.
    protocol_error,       ///< What came is no answer to anything that was asked; the connection was closed.
    wrong_role,           ///< The server is not what was asked for: a standby, or a primary.
};

/// The category of `errc`: named "postgres", one English sentence a code. `not_connected` and
/// `connection_lost` compare equal to the std::errc of these names (`connection_reset`), `queue_full` to
/// `no_buffer_space`, `protocol_error` to `protocol_error`.
[[nodiscard]] const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// An SQLSTATE as a number: its five characters as digits of base 36. 0 for what is no SQLSTATE.
[[nodiscard]] constexpr int sqlstate_value(std::string_view state) noexcept {
    int value = 0;
    for (const char each : state) {
        const bool is_digit = each >= '0' && each <= '9';
        if (!is_digit && !(each >= 'A' && each <= 'Z')) {
            return 0;
        }
        value = value * 36 + (is_digit ? each - '0' : each - 'A' + 10);
    }
    return state.size() == 5 ? value : 0;
}

/// SQLSTATEs that programs decide by. Others are codes of the same category, too:
/// `e.code().value() == sqlstate_value("22P02")`.
enum class sqlstate : int {
    not_null_violation = sqlstate_value("23502"),
    foreign_key_violation = sqlstate_value("23503"),
    unique_violation = sqlstate_value("23505"),
    check_violation = sqlstate_value("23514"),
    exclusion_violation = sqlstate_value("23P01"),
    in_failed_transaction = sqlstate_value("25P02"),
    read_only_transaction = sqlstate_value("25006"),
    invalid_password = sqlstate_value("28P01"),
    serialization_failure = sqlstate_value("40001"),
    deadlock_detected = sqlstate_value("40P01"),
    syntax_error = sqlstate_value("42601"),
    undefined_column = sqlstate_value("42703"),
    undefined_table = sqlstate_value("42P01"),
    too_many_connections = sqlstate_value("53300"),
    lock_not_available = sqlstate_value("55P03"),
    query_canceled = sqlstate_value("57014"),
    admin_shutdown = sqlstate_value("57P01"),
    crash_shutdown = sqlstate_value("57P02"),
    cannot_connect_now = sqlstate_value("57P03"),
};

/// Classes of SQLSTATEs, by their first two characters: `e.code() == sqlstate_class::integrity_violation`.
enum class sqlstate_class : int {
    connection_exception = sqlstate_value("08000"),
    data_exception = sqlstate_value("22000"),
    integrity_violation = sqlstate_value("23000"),
    invalid_transaction_state = sqlstate_value("25000"),
    invalid_authorization = sqlstate_value("28000"),
    transaction_rollback = sqlstate_value("40000"),
    syntax_or_access_rule = sqlstate_value("42000"),
    insufficient_resources = sqlstate_value("53000"),
    limit_exceeded = sqlstate_value("54000"),
    not_in_prerequisite_state = sqlstate_value("55000"),
    operator_intervention = sqlstate_value("57000"),
    system_error = sqlstate_value("58000"),
};

/// The category of SQLSTATEs: named "postgres.sqlstate". Its codes compare equal to their `sqlstate_class`,
/// and to std::errc where there is one: `invalid_password` and class 28 to `permission_denied`,
/// `read_only_transaction` to `read_only_file_system`, `query_canceled` to `operation_canceled`,
/// `deadlock_detected` to `resource_deadlock_would_occur`, class 53 to `not_enough_memory` (disk full, 53100,
/// to `no_space_on_device`), class 08 to `connection_reset`.
[[nodiscard]] const std::error_category& sqlstate_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(sqlstate code) noexcept {
    return {static_cast<int>(code), sqlstate_category()};
}
[[nodiscard]] inline std::error_condition make_error_condition(sqlstate_class code) noexcept {
    return {static_cast<int>(code), sqlstate_category()};
}

/// The base of what the PostgreSQL client throws for a statement. `what()` never holds a password.
class error : public levee::error {
public:
    error(std::error_code code, const std::string& what, bool may_have_been_executed)
        : levee::error(code, what), may_have_been_executed_(may_have_been_executed) {}

    /// True if the statement was sent, and whether the server executed it is not known: after a time-out, a
    /// cancellation or a lost connection. False: it was not executed, or the server itself refused it.
    [[nodiscard]] bool may_have_been_executed() const noexcept { return may_have_been_executed_; }

private:
    bool may_have_been_executed_;
};

/// What a server said when it refused, field by field; empty: it did not say.
struct server_message {
    std::string sqlstate{};  ///< Five characters: "23505".
    std::string
        severity{};  ///< "ERROR", "FATAL", "PANIC"; of notices "WARNING", "NOTICE", …; never translated.
    std::string message{};     ///< One sentence.
    std::string detail{};      ///< What exactly: "Key (id)=(42) already exists."
    std::string hint{};        ///< What to do.
    std::string context{};     ///< Where: a trace of functions.
    std::size_t position = 0;  ///< The character of the statement, from 1; 0: none.
    std::string schema{};      ///< Of the table, type or constraint concerned; so the next four.
    std::string table{};
    std::string column{};
    std::string data_type{};
    std::string constraint{};
};

/// The server refused a statement.
///
/// `code()` is its SQLSTATE in `sqlstate_category()`; `what()` is
/// `<statement, shortened>: <message> [<detail>] [hint: <hint>] at character 12: SQLSTATE 23505`, without
/// what the server did not say.
///
/// The statement is shown without its comments and what stands between its quotes, and not at all when it
/// speaks of a password; quoted words of such a statement are taken out of the server's sentences too.
/// Parameters are never shown by levee; the server's own detail may tell the values of a violated key.
class sql_error : public error {
public:
    /// `statement`: the SQL text, of which an excerpt around the position is kept; may be empty.
    sql_error(server_message said, std::string_view statement);

    [[nodiscard]] const std::string& sqlstate() const noexcept { return said_.sqlstate; }
    [[nodiscard]] const std::string& severity() const noexcept { return said_.severity; }
    [[nodiscard]] const std::string& message() const noexcept { return said_.message; }
    [[nodiscard]] const std::string& detail() const noexcept { return said_.detail; }
    [[nodiscard]] const std::string& hint() const noexcept { return said_.hint; }
    /// The character of the statement where it went wrong, from 1; 0: the server did not say.
    [[nodiscard]] std::size_t position() const noexcept { return said_.position; }
    /// The constraint that was violated; empty: none.
    [[nodiscard]] const std::string& constraint() const noexcept { return said_.constraint; }
    /// At most 80 characters of the statement, around the position.
    [[nodiscard]] const std::string& excerpt() const noexcept { return excerpt_; }
    /// Everything the server said.
    [[nodiscard]] const server_message& said() const noexcept { return said_; }

    /// True: nothing was done, and the same transaction may succeed when it is run again from its beginning:
    /// a serialisation failure, a deadlock, a lock that was not available, too many connections, a server
    /// that is starting.
    [[nodiscard]] bool is_retryable() const noexcept;

    /// True: the connection, or the server behind it, is not to be used further: it is going away (08xxx,
    /// 57P01 to 57P05), or became a standby (25006). The severities FATAL and PANIC say so too.
    [[nodiscard]] bool condemns_connection() const noexcept;

private:
    struct prepared;
    explicit sql_error(prepared all);

    server_message said_;
    std::string excerpt_;
};

}  // namespace levee::postgres

template <>
struct std::is_error_code_enum<levee::postgres::errc> : std::true_type {};
template <>
struct std::is_error_code_enum<levee::postgres::sqlstate> : std::true_type {};
template <>
struct std::is_error_condition_enum<levee::postgres::sqlstate_class> : std::true_type {};
