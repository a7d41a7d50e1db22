// The Redis client over TLS and with passwords, against a real server.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "levee/redis/client.hpp"
#include "levee/redis/transaction.hpp"
#include "support/code_of.hpp"
#include "support/free_port.hpp"
#include "support/redis_fixture.hpp"
#include "support/temp_dir.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::error_of;

struct openssl_deleter {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
    void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

/// A certificate for `name` ("IP:127.0.0.1"), signed by itself, and its key, as PEM files.
void write_certificate(const std::string& name, const std::string& certificate_file,
                       const std::string& key_file) {
    const std::unique_ptr<EVP_PKEY, openssl_deleter> key(EVP_EC_gen("P-256"));
    const std::unique_ptr<X509, openssl_deleter> made(X509_new());
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), key.get());
    const std::unique_ptr<X509_EXTENSION, openssl_deleter> names(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name.c_str()));
    X509_add_ext(made.get(), names.get(), -1);
    X509_sign(made.get(), key.get(), EVP_sha256());
    const std::unique_ptr<std::FILE, openssl_deleter> out(std::fopen(certificate_file.c_str(), "w"));
    PEM_write_X509(out.get(), made.get());
    const std::unique_ptr<std::FILE, openssl_deleter> key_out(std::fopen(key_file.c_str(), "w"));
    PEM_write_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
}

class redis_secure_server : public tests::redis_fixture {
protected:
    void SetUp() override {
        redis_fixture::SetUp();
        if (IsSkipped()) {
            return;
        }
        secure_port_ = tests::free_port();
        write_certificate("IP:127.0.0.1", certificate(), folder_ / "key.pem");
        write_certificate("DNS:elsewhere.example", folder_ / "other.pem", folder_ / "other_key.pem");
        server({"--tls-port", std::to_string(secure_port_), "--tls-cert-file", certificate(),
                "--tls-key-file", folder_ / "key.pem", "--tls-auth-clients", "no", "--tls-ca-cert-file",
                certificate(), "--user", "somebody", "on", ">s3cret", "~*", "&*", "+@all", "--requirepass",
                "general"});
    }

    [[nodiscard]] std::string certificate() const { return folder_ / "certificate.pem"; }
    [[nodiscard]] client_options options() {
        return {.port = secure_port_,
                .executor = rt_.get_executor(),
                .user = "somebody",
                .password = "s3cret",
                .tls = {.is_enabled = true, .authority_file = certificate()},
                .command_timeout = 20s};
    }

    std::uint16_t secure_port_ = 0;
    tests::temp_dir folder_;
};

TEST_F(redis_secure_server, serves_threads_and_coroutines_over_tls) {
    client c(options());
    const std::string big(3U << 20U, 'b');
    EXPECT_TRUE(c.set("big", big));
    EXPECT_EQ(c.get("big"), big);
    EXPECT_EQ(c.async_get("big", asio::use_future).get(), big);
    EXPECT_EQ(c.execute("ACL", "WHOAMI").text(), "somebody");
    for (int i = 0; i < 200; ++i) {
        c.set("n", i);
        EXPECT_EQ(c.get("n"), std::to_string(i));
    }
    auto tx = c.begin();
    tx.add("INCR", "n");
    EXPECT_EQ((*tx.commit())[0].integer(), 200);
}

TEST_F(redis_secure_server, refuses_a_certificate_that_nobody_vouches_for) {
    auto unknown = options();
    unknown.tls.authority_file = folder_ / "other.pem";
    client c(unknown);
    const auto failed = error_of<error>([&] { return c.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::tls_failed) << failed->what();
    EXPECT_NE(std::string(failed->what()).find("self-signed"), std::string::npos) << failed->what();
}

TEST_F(redis_secure_server, refuses_a_certificate_for_another_name) {
    auto elsewhere = options();
    elsewhere.tls.server_name = "localhost";
    client c(elsewhere);
    EXPECT_EQ(error_of<error>([&] { return c.get("a"); })->code(), errc::tls_failed);
    elsewhere.tls.verifies = false;
    client careless(elsewhere);
    EXPECT_FALSE(careless.get("a"));
}

TEST_F(redis_secure_server, a_wrong_password_is_told_at_once_and_not_shown) {
    auto wrong = options();
    wrong.password = "wr0ng";
    client c(wrong);
    const auto failed = error_of<error>([&] { return c.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::authentication);
    EXPECT_EQ(std::string(failed->what()).find("wr0ng"), std::string::npos);
    client nobody({.port = server().port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    EXPECT_EQ(error_of<error>([&] { return nobody.get("a"); })->code(), errc::authentication);
}

TEST_F(redis_secure_server, files_that_cannot_be_used_are_told_at_construction) {
    auto missing = options();
    missing.tls.authority_file = folder_ / "none.pem";
    EXPECT_EQ(error_of<error>([&] {
                  const client c(missing);
                  return 0;
              })->code(),
              errc::tls_failed);
}

}  // namespace
}  // namespace levee::redis
