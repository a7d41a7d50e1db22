/// What can go wrong between a client and a Redis server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "levee/core/error.hpp"

namespace levee::redis {

/// Codes of the connection, and what the server answered, by the first word of its answer. A deadline that
/// passed is `levee::errc::timeout`, a cancelled call `levee::errc::cancelled`, a closed client
/// `levee::errc::closed`.
enum class errc {
    connection_lost = 1,  ///< The connection broke with the command sent and not answered.
    not_connected,        ///< There is no connection, and none could be made; the command was not sent.
    queue_full,           ///< Too many commands wait already; this one was not queued.
    protocol_error,       ///< What came is not RESP2, or is no answer to anything; the connection was closed.
    reply_too_large,      ///< A reply is larger than the client's limits; the connection was closed.
    tls_failed,           ///< No trusted TLS session with this server.

    server_error = 100,   ///< An answer that begins with none of the words below ("ERR …").
    authentication,       ///< NOAUTH, WRONGPASS, NOPERM, and ERR for a password where none is set.
    loading,              ///< LOADING: the server reads its data set; try later.
    read_only,            ///< READONLY: a replica, which takes no writes.
    wrong_type,           ///< WRONGTYPE: the key holds another kind of value.
    out_of_memory,        ///< OOM: maxmemory is reached, and nothing may be evicted.
    no_script,            ///< NOSCRIPT: the server does not know the script.
    transaction_aborted,  ///< EXECABORT: a command of the transaction was refused; nothing was executed.
    busy,                 ///< BUSY: a script runs too long.
    misconfigured,        ///< MISCONF: the server cannot save, and so takes no writes.
    master_down,          ///< MASTERDOWN, NOREPLICAS: the link between master and replicas does not suffice.
    cluster_down,         ///< CLUSTERDOWN: the cluster does not serve this slot.
    moved,                ///< MOVED: another node of the cluster has the slot.
    ask,                  ///< ASK: another node has the key while the slot moves.
    try_again,            ///< TRYAGAIN: keys of one command are on two nodes while their slot moves.
    cross_slot,           ///< CROSSSLOT: keys of one command are in different slots.
};

/// The category of `errc`: named "redis", one English sentence a code. Codes compare equal to std::errc
/// where there is one: `not_connected`, `connection_lost` to `connection_reset`, `authentication` to
/// `permission_denied`, `out_of_memory` to `not_enough_memory`, `read_only` to `read_only_file_system`,
/// `queue_full` to `no_buffer_space`, `protocol_error` to `protocol_error`, `reply_too_large` to
/// `message_size`.
[[nodiscard]] const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// The code of a server's error answer, by its first word.
[[nodiscard]] std::error_code code_of(std::string_view server_answer) noexcept;

/// True for answers that say "not now" and leave nothing done: loading, busy, cluster_down, master_down,
/// try_again. Trying later, or elsewhere, is right.
[[nodiscard]] bool is_transient(const std::error_code& code) noexcept;

/// What the Redis client throws. `what()` carries the server's answer where there is one; never a password.
class error : public levee::error {
public:
    error(std::error_code code, const std::string& what, bool may_have_been_executed)
        : levee::error(code, what), may_have_been_executed_(may_have_been_executed) {}

    /// True if the command was sent, and whether the server executed it is not known: after a time-out, a
    /// cancellation or a lost connection. False: it was not executed, or the server itself refused it.
    [[nodiscard]] bool may_have_been_executed() const noexcept { return may_have_been_executed_; }

private:
    bool may_have_been_executed_;
};

}  // namespace levee::redis

template <>
struct std::is_error_code_enum<levee::redis::errc> : std::true_type {};
