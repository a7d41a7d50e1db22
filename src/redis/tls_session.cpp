#include "redis/tls_session.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <limits>
#include <new>

#include <boost/asio/ip/address.hpp>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

/// The reason of OpenSSL's last error on this thread; its queue is empty afterwards.
std::string reason() {
    std::array<char, 256> text{};
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0) {
        return "the peer closed the connection";
    }
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

[[noreturn]] void refuse(const std::string& what) {
    throw error(errc::tls_failed, what + ": " + reason(), false);
}

}  // namespace

void tls_context::deleter::operator()(ssl_ctx_st* context) const noexcept {
    SSL_CTX_free(context);
}

void tls_session::deleter::operator()(ssl_st* session) const noexcept {
    SSL_free(session);
}

tls_context::tls_context(const client_options& options)
    : context_(SSL_CTX_new(TLS_client_method())),
      server_name_(options.tls.server_name.empty() ? options.host : options.tls.server_name),
      verifies_(options.tls.verifies) {
    if (context_ == nullptr) {
        throw std::bad_alloc();
    }
    ERR_clear_error();
    SSL_CTX* const raw = context_.get();
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(raw, verifies_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const tls_options& tls = options.tls;
    if (!tls.authority_file.empty()) {
        if (SSL_CTX_load_verify_locations(raw, tls.authority_file.c_str(), nullptr) != 1) {
            refuse("reading the authorities of \"" + tls.authority_file + '"');
        }
    } else if (verifies_ && SSL_CTX_set_default_verify_paths(raw) != 1) {
        refuse("reading the system's authorities");
    }
    if (!tls.certificate_file.empty()) {
        if (SSL_CTX_use_certificate_chain_file(raw, tls.certificate_file.c_str()) != 1) {
            refuse("reading the certificate \"" + tls.certificate_file + '"');
        }
        if (SSL_CTX_use_PrivateKey_file(raw, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
            refuse("reading the key \"" + tls.key_file + '"');
        }
    }
}

tls_context::~tls_context() = default;

tls_session::tls_session(const tls_context& context) : session_(SSL_new(context.context_.get())) {
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    if (session_ == nullptr || in == nullptr || out == nullptr) {
        BIO_free(in);
        BIO_free(out);
        throw std::bad_alloc();
    }
    BIO_set_mem_eof_return(in, -1);  // empty means "wait", not "closed"
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(session_.get(), in, out);  // which owns them now
    SSL_set_connect_state(session_.get());
    const std::string& name = context.server_name_;
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address(name, not_an_address);
    if (not_an_address) {
        SSL_set_tlsext_host_name(session_.get(), name.c_str());
    }
    if (context.verifies_) {
        X509_VERIFY_PARAM* const parameters = SSL_get0_param(session_.get());
        const int is_set = not_an_address ? X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size())
                                          : X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
        if (is_set != 1) {
            refuse("expecting the name \"" + name + '"');
        }
    }
}

tls_session::~tls_session() = default;

failure tls_session::failed_locked(const char* what) const {
    const long verdict = SSL_get_verify_result(session_.get());
    std::string why = std::string(what) + ": ";
    why += verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason();
    ERR_clear_error();
    return {errc::tls_failed, false, std::move(why)};
}

tls_session::progress tls_session::handshake(failure& why) {
    const std::lock_guard lock(mutex_);
    ERR_clear_error();
    const int result = SSL_do_handshake(session_.get());
    if (result == 1) {
        return progress::done;
    }
    if (SSL_get_error(session_.get(), result) == SSL_ERROR_WANT_READ) {
        return progress::needs_input;
    }
    why = failed_locked("beginning TLS");
    return progress::failed;
}

void tls_session::put_input(const char* data, std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (BIO_write(SSL_get_rbio(session_.get()), data, static_cast<int>(size)) != static_cast<int>(size)) {
        throw std::bad_alloc();  // it is memory that grows
    }
}

std::ptrdiff_t tls_session::read(char* into, std::size_t size, failure& why) {
    const std::lock_guard lock(mutex_);
    ERR_clear_error();
    std::size_t taken = 0;
    const int result = SSL_read_ex(session_.get(), into, size, &taken);
    if (result == 1) {
        return static_cast<std::ptrdiff_t>(taken);
    }
    switch (SSL_get_error(session_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return 0;
        case SSL_ERROR_ZERO_RETURN:
            why = {errc::connection_lost, false, "Redis closed the TLS session"};
            return -1;
        default:
            why = failed_locked("reading through TLS");
            return -1;
    }
}

bool tls_session::write(const char* data, std::size_t size, failure& why) {
    const std::lock_guard lock(mutex_);
    ERR_clear_error();
    while (size > 0) {
        std::size_t taken = 0;
        if (SSL_write_ex(session_.get(), data, size, &taken) != 1) {
            why = failed_locked("writing through TLS");
            return false;
        }
        data += taken;
        size -= taken;
    }
    return true;
}

bool tls_session::has_output() const {
    const std::lock_guard lock(mutex_);
    return BIO_ctrl_pending(SSL_get_wbio(session_.get())) > 0;
}

void tls_session::take_output(std::string& into) {
    const std::lock_guard lock(mutex_);
    BIO* const out = SSL_get_wbio(session_.get());
    const std::size_t size = BIO_ctrl_pending(out);
    const std::size_t before = into.size();
    into.resize(before + size);
    if (size > 0 && BIO_read(out, into.data() + before, static_cast<int>(size)) != static_cast<int>(size)) {
        throw std::bad_alloc();  // it was there a line ago
    }
}

}  // namespace levee::redis::detail
