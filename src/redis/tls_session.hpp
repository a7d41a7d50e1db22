/// TLS between bytes and bytes: OpenSSL over memory, without a socket.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "levee/redis/client_options.hpp"
#include "levee/redis/detail/request.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace levee::redis::detail {

/// Certificates and rules, made once for a client.
class tls_context {
public:
    /// Errors: redis::error with errc::tls_failed for files that cannot be used.
    explicit tls_context(const client_options& options);
    ~tls_context();
    tls_context(const tls_context&) = delete;
    tls_context& operator=(const tls_context&) = delete;

private:
    friend class tls_session;
    struct deleter {
        void operator()(ssl_ctx_st* context) const noexcept;
    };
    std::unique_ptr<ssl_ctx_st, deleter> context_;
    std::string server_name_;
    bool verifies_;
};

/// One session. What it wants sent is asked for by `take_output`, after any other call.
///
/// Thread safety: safe on a shared object: reader and writer use it at the same time.
class tls_session {
public:
    explicit tls_session(const tls_context& context);
    ~tls_session();
    tls_session(const tls_session&) = delete;
    tls_session& operator=(const tls_session&) = delete;

    enum class progress : std::uint8_t { done, needs_input, failed };

    [[nodiscard]] progress handshake(failure& why);

    /// What came from the peer.
    void put_input(const char* data, std::size_t size);

    /// Decrypts into `into`, at most `size` bytes. Zero: nothing more is there now; -1: see `why`.
    [[nodiscard]] std::ptrdiff_t read(char* into, std::size_t size, failure& why);

    /// Encrypts all of it.
    [[nodiscard]] bool write(const char* data, std::size_t size, failure& why);

    [[nodiscard]] bool has_output() const;
    /// Appends what is to be sent to the peer.
    void take_output(std::string& into);

private:
    [[nodiscard]] failure failed_locked(const char* what) const;

    struct deleter {
        void operator()(ssl_st* session) const noexcept;
    };
    mutable std::mutex mutex_;  // guards the session; taken alone
    std::unique_ptr<ssl_st, deleter> session_;
};

}  // namespace levee::redis::detail
