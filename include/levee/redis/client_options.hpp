/// Where a Redis server is, and how a client treats it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"
#include "levee/resilience/backoff.hpp"

namespace levee::redis {

/// TLS by OpenSSL, 1.2 and above. The server's certificate is verified, its name included, unless that is
/// switched off.
struct tls_options {
    bool is_enabled = false;

    /// False: any certificate will do, so that whoever sits on the line can read and change everything.
    bool verifies = true;

    /// PEM file of the authorities to trust. Empty: the system's.
    std::string authority_file{};

    /// What the certificate must be for, and what is asked for by SNI. Empty: `host`.
    std::string server_name{};

    /// PEM files of the client's own certificate chain and key, if the server asks for one; both or none.
    std::string certificate_file{};
    std::string key_file{};
};

/// What becomes of commands while there is no connection.
enum class when_disconnected : std::uint8_t {
    wait,  ///< They wait for one, until their deadline.
    fail,  ///< Once an attempt to connect failed they fail at once, until one succeeds.
};

struct client_options {
    // Essential.
    std::string host = "127.0.0.1";
    std::uint16_t port = 6379;
    std::string unix_socket{};  ///< A path: then `host` and `port` are not used. Empty: TCP.

    /// Where connecting, and the work of asynchronous callers, runs. Required; must outlive the client.
    boost::asio::any_io_executor executor{};

    // Frequent.
    std::string user{};          ///< Of Redis 6's access lists. Empty: the default user.
    std::string password{};      ///< Empty: no AUTH is sent. Never part of a message.
    std::uint32_t database = 0;  ///< SELECT; 0 sends none.
    std::string client_name{};   ///< CLIENT SETNAME: shown by CLIENT LIST. No spaces. Empty: none.
    tls_options tls{};

    /// How long a command may take, waiting for a connection included, unless it says otherwise. 250 ms
    /// keeps a cache from becoming what it protects from. Above zero.
    duration command_timeout = std::chrono::milliseconds(250);

    /// How long connecting may take: name, socket, TLS and AUTH together. Above zero.
    duration connect_timeout = std::chrono::seconds(5);

    /// Shared connections. One joins most writes and is the fastest for small values; more keep small
    /// commands from waiting behind big values. A command goes where the fewest bytes wait. [1, 1024].
    std::size_t connections = 1;

    when_disconnected while_disconnected = when_disconnected::wait;

    // Rare.
    /// Waits between attempts to connect; 1 s at most, so that a server that is back is soon used.
    backoff_options reconnect{.max = std::chrono::seconds(1)};

    /// How often an idempotent command is sent, the first time included. At least 1.
    std::uint32_t max_attempts = 3;

    /// A connection that owes an answer and sent nothing for this long is closed, and made anew. Zero: never.
    duration silence_timeout = std::chrono::seconds(5);

    /// Commands that wait for an answer or to be sent, and the bytes of those not sent yet, for each
    /// connection; more are refused with errc::queue_full. Above zero.
    std::size_t max_pending = 65'536;
    std::size_t max_pending_bytes = 256U << 20U;

    /// The largest reply, in bytes and in elements, nested ones counted. Replies nested deeper than hiredis
    /// takes (7 arrays in 0.14) are protocol errors. Above zero.
    std::size_t max_reply_bytes = 512U << 20U;
    std::size_t max_reply_elements = 1U << 20U;

    /// Connections for transactions at the same time; more wait. [1, 1024].
    std::size_t max_exclusive = 8;

    /// Null: real time on `executor`.
    std::shared_ptr<async::scheduler> scheduler{};

    /// Of the jitter in waits between attempts. Zero: a different one for each client.
    std::uint64_t seed = 0;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const client_options& options);

}  // namespace levee::redis
