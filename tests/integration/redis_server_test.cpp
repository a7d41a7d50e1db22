// The Redis client against a real server, which is killed, stopped, restarted, filled and made a replica.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/subscriber.hpp"
#include "support/redis_server.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::redis_server;

template <class Call>
std::optional<error> error_of(const Call& call) {
    try {
        static_cast<void>(call());
    } catch (const error& e) {
        return e;
    }
    return std::nullopt;
}

class redis_real_server : public ::testing::Test {
protected:
    void SetUp() override {
        if (!redis_server::is_installed()) {
            GTEST_SKIP() << "no redis-server";
        }
    }

    redis_server& server(std::vector<std::string> arguments = {}) {
        if (server_ == nullptr) {
            server_ = std::make_unique<redis_server>(std::move(arguments));
        }
        return *server_;
    }
    client& db(client_options options = {}) {
        if (db_ == nullptr) {
            options.port = server().port();
            options.executor = rt_.get_executor();
            if (options.command_timeout == client_options{}.command_timeout) {
                options.command_timeout = 20s;
            }
            db_ = std::make_unique<client>(options);
        }
        return *db_;
    }
    template <class T>
    T await(asio::awaitable<T> work) {
        return asio::co_spawn(rt_.get_executor(), std::move(work), asio::use_future).get();
    }

    runtime rt_{2, 1};
    std::unique_ptr<redis_server> server_;
    std::unique_ptr<client> db_;
};

TEST_F(redis_real_server, typed_calls_do_what_they_say) {
    auto& c = db();
    EXPECT_FALSE(c.get("a"));
    EXPECT_TRUE(c.set("a", std::string("\0\r\n", 3)));
    EXPECT_EQ(c.get("a"), std::string("\0\r\n", 3));
    EXPECT_FALSE(c.set("a", 1, {.when = set_when::absent}));
    EXPECT_FALSE(c.set("b", 1, {.when = set_when::present}));
    EXPECT_TRUE(c.set("b", 41, {.time_to_live = 100s}));
    EXPECT_EQ(c.increment("b"), 42);
    EXPECT_GT(c.time_to_live("b"), 90s);
    EXPECT_EQ(c.time_to_live("a"), (duration::max)());
    EXPECT_FALSE(c.time_to_live("none"));
    EXPECT_TRUE(c.expire("a", 100s));
    EXPECT_EQ(c.get_many(std::vector{"a", "none", "b"})[2], "42");
    EXPECT_FALSE(c.get_many(std::vector{"a", "none", "b"})[1]);
    EXPECT_TRUE(c.exists("b"));
    EXPECT_TRUE(c.set_field("h", "f", "v"));
    EXPECT_EQ(c.get_field("h", "f"), "v");
    EXPECT_EQ(c.get_fields("h"), (std::vector<std::pair<std::string, std::string>>{{"f", "v"}}));
    EXPECT_TRUE(c.erase("b"));
    EXPECT_EQ(c.erase_many(std::vector{"a", "b", "h"}), 2U);
    EXPECT_EQ(error_of([&] {
                  return c.execute("SADD", "s", "x").integer() + c.execute("INCR", "s").integer();
              })->code(),
              errc::wrong_type);
}

TEST_F(redis_real_server, coroutines_can_do_the_same) {
    auto& c = db();
    const auto work = [&]() -> asio::awaitable<std::string> {
        co_await c.async_set("a", "1", asio::use_awaitable);
        const set_options lives{.time_to_live = 100s};
        co_await c.async_set("b", "2", lives, asio::use_awaitable);
        co_await c.async_increment("b", 5, asio::use_awaitable);
        const std::vector<std::string> names{"a", "b"};
        const auto values = co_await c.async_get_many(names, asio::use_awaitable);
        pipeline more;
        more.add("GET", "a").add("LPUSH", "a", "x").add("ECHO", "last");
        const auto replies = co_await c.async_execute(std::move(more), asio::use_awaitable);
        std::string all = *values[0] + *values[1] + replies[0].text() + replies[2].text();
        all += replies[1].is_error() ? " refused" : " taken";
        auto keys = c.scan();
        std::size_t count = 0;
        while (auto batch = co_await keys.async_next(asio::use_awaitable)) {
            count += batch->size();
        }
        co_return all + ' ' + std::to_string(count);
    };
    EXPECT_EQ(await(work()), "171last refused 2");
}

TEST_F(redis_real_server, a_transaction_is_executed_as_one_or_not_at_all) {
    auto& c = db();
    c.set("n", 1);
    auto tx = c.begin();
    tx.watch("n");
    const auto n = tx.execute("GET", "n").integer();
    tx.add("SET", "n", n + 1).add("GET", "n");
    const auto replies = tx.commit();
    ASSERT_TRUE(replies);
    EXPECT_EQ((*replies)[1].text(), "2");
    tx.watch("n");
    c.set("n", 7);
    tx.add("SET", "n", 8);
    EXPECT_FALSE(tx.commit());
    EXPECT_EQ(c.get("n"), "7");
    tx.add("SET", "n", 9).add("NO_SUCH_COMMAND");
    EXPECT_TRUE(error_of([&] { return tx.commit(); }));
    EXPECT_EQ(c.get("n"), "7");
}

TEST_F(redis_real_server, a_transaction_whose_watch_was_lost_is_not_executed) {
    auto& c = db();
    auto tx = c.begin();
    tx.watch("n");
    c.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    tx.add("SET", "n", 1);
    const auto failed = error_of([&] { return tx.commit(); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::connection_lost);
    EXPECT_FALSE(c.exists("n"));
}

TEST_F(redis_real_server, transactions_of_coroutines_wait_for_a_connection) {
    auto& c = db({.max_exclusive = 1});
    const auto work = [&]() -> asio::awaitable<std::int64_t> {
        auto tx = co_await c.async_begin(asio::use_awaitable);
        co_await tx->async_watch("n", asio::use_awaitable);
        const auto before = co_await tx->async_execute(command("GET", "n"), asio::use_awaitable);
        tx->add("INCR", "n");
        const auto replies = co_await tx->async_commit(asio::use_awaitable);
        co_return (*replies)[0].integer();
    };
    std::vector<std::future<std::int64_t>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(asio::co_spawn(rt_.get_executor(), work(), asio::use_future));
    }
    std::int64_t sum = 0;
    for (auto& each : all) {
        sum += each.get();
    }
    EXPECT_EQ(sum, 55);
}

TEST_F(redis_real_server, scripts_are_known_again_after_a_restart) {
    auto& c = db();
    const script add("return tonumber(ARGV[1]) + tonumber(ARGV[2])");
    const std::vector<std::string> none;
    EXPECT_EQ(c.run(add, none, std::vector{"1", "2"}).integer(), 3);
    server().kill();
    server().start();
    EXPECT_EQ(c.get("nothing"), std::nullopt);  // idempotent: waits for the new connection
    EXPECT_EQ(c.run(add, none, std::vector{"3", "4"}).integer(), 7);
    c.execute("SCRIPT", "FLUSH");
    EXPECT_EQ(c.async_run(add, none, std::vector{"5", "6"}, asio::use_future).get().integer(), 11);
    EXPECT_EQ(error_of([&] { return c.run(script("return nonsense("), none, none); })->code(),
              errc::server_error);
}

TEST_F(redis_real_server, scan_gives_every_key_that_matches) {
    auto& c = db();
    std::set<std::string> expected;
    for (int i = 0; i < 1000; ++i) {
        expected.insert("k:" + std::to_string(i));
        c.set("k:" + std::to_string(i), i);
        c.set("other:" + std::to_string(i), i);
    }
    std::set<std::string> found;
    auto keys = c.scan({.match = "k:*", .count = 100});
    while (const auto batch = keys.next()) {
        found.insert(batch->begin(), batch->end());
    }
    EXPECT_EQ(found, expected);
    EXPECT_FALSE(keys.next());
}

TEST_F(redis_real_server, a_restart_is_waited_for) {
    auto& c = db();
    c.set("a", 1);
    server().kill();
    auto waits = c.async_set("a", 2, asio::use_future);
    server().start();
    EXPECT_TRUE(waits.get());
    EXPECT_EQ(c.get("a"), "2");
    EXPECT_EQ(c.stats().connects, 2U);
}

TEST_F(redis_real_server, a_stopped_server_costs_no_more_than_the_deadline_and_no_reply_is_mixed_up) {
    auto& c = db();
    c.set("a", "A");
    c.set("b", "B");
    server().pause();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(error_of([&] { return c.execute(command("GET", "a").timeout(20ms)); })->code(),
                  levee::errc::timeout);
        auto future = c.async_execute(command("GET", "a").timeout(20ms), asio::use_future);
        EXPECT_EQ(error_of([&] { return future.get(); })->code(), levee::errc::timeout);
    }
    server().resume();
    EXPECT_EQ(c.get("b"), "B");
    EXPECT_EQ(c.async_get("a", asio::use_future).get(), "A");
    EXPECT_EQ(c.stats().dropped_late, 6U);
}

TEST_F(redis_real_server, a_connection_that_the_server_closed_meanwhile_is_noticed_before_it_is_used) {
    auto& c = db();
    c.set("a", 1);
    redis_server& s = server();
    client other({.port = s.port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    other.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const time_point moment = clock::coarse().now();
    while (clock::coarse().now() < moment + 10ms) {  // the look is due after 5 ms of rest
        other.execute("PING");
    }
    EXPECT_EQ(c.increment("a"), 2) << "not idempotent, and yet no error";
}

TEST_F(redis_real_server, subscriptions_are_renewed_and_gaps_told) {
    auto& c = db();
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> heard;
    int gaps = 0;
    subscriber listens(c, {.channels = {"news"},
                           .patterns = {"p:*"},
                           .on_message =
                               [&](const published& one) {
                                   const std::lock_guard lock(mutex);
                                   heard.push_back(std::string(one.channel) + '=' + std::string(one.payload) +
                                                   std::string(one.pattern));
                                   changed.notify_all();
                               },
                           .on_gap =
                               [&] {
                                   const std::lock_guard lock(mutex);
                                   ++gaps;
                                   changed.notify_all();
                               },
                           .ping_interval = 50ms});
    ASSERT_TRUE(listens.wait_subscribed(20s));
    c.publish("news", "1");
    c.publish("p:x", "2");
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return heard.size() == 2; }));
        EXPECT_EQ(heard, (std::vector<std::string>{"news=1", "p:x=2p:*"}));
        EXPECT_EQ(gaps, 0);
    }
    server().kill();
    server().start();
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return gaps == 1; }));
    }
    ASSERT_TRUE(listens.wait_subscribed(20s));
    // The client's own connection may have rested for so short a time that it is not looked at before use.
    const auto lost = error_of([&] { EXPECT_EQ(c.publish("news", "3"), 1); });
    if (lost) {
        EXPECT_EQ(lost->code(), errc::connection_lost);
        EXPECT_EQ(c.publish("news", "3"), 1);
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return heard.size() == 3; }));
    EXPECT_GT(listens.alive_at(), (time_point::min)());
}

TEST_F(redis_real_server, a_full_server_and_a_replica_are_told_from_failures) {
    server({"--maxmemory", "1500kb"});
    auto& c = db();
    const std::string value(10'000, 'v');
    std::optional<error> failed;
    for (int i = 0; i < 1000 && !failed; ++i) {
        failed = error_of([&] { return c.set("k" + std::to_string(i), value); });
    }
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::out_of_memory);
    c.execute("REPLICAOF", "127.0.0.1", tests::free_port());
    EXPECT_EQ(error_of([&] { return c.set("a", 1); })->code(), errc::read_only);
    EXPECT_EQ(c.get("k0"), value);
}

TEST_F(redis_real_server, serves_over_a_unix_socket_and_selects_the_database) {
    client c({.unix_socket = server().unix_socket(),
              .executor = rt_.get_executor(),
              .database = 3,
              .client_name = "tester",
              .command_timeout = 20s});
    c.set("a", 1);
    EXPECT_EQ(c.execute("CLIENT", "GETNAME").text(), "tester");
    EXPECT_FALSE(db().exists("a"));
}

TEST_F(redis_real_server, big_values_travel_both_ways_while_small_ones_pass) {
    auto& c = db({.connections = 2});
    const std::string big(20U << 20U, 'b');
    auto future = c.async_set("big", big, asio::use_future);
    EXPECT_TRUE(c.set("small", 1));
    EXPECT_TRUE(future.get());
    EXPECT_EQ(c.get("big"), big);
    EXPECT_EQ(c.async_get("big", asio::use_future).get(), big);
    EXPECT_TRUE(c.set("big2", big));
}

// ---- Passwords and TLS

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

class redis_secure_server : public redis_real_server {
protected:
    void SetUp() override {
        redis_real_server::SetUp();
        if (IsSkipped()) {
            return;
        }
        secure_port_ = tests::free_port();
        std::string folder = (std::filesystem::temp_directory_path() / "levee_redis_tls_XXXXXX").string();
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        write_certificate("IP:127.0.0.1", certificate(), folder_ + "/key.pem");
        write_certificate("DNS:elsewhere.example", folder_ + "/other.pem", folder_ + "/other_key.pem");
        server({"--tls-port", std::to_string(secure_port_), "--tls-cert-file", certificate(),
                "--tls-key-file", folder_ + "/key.pem", "--tls-auth-clients", "no", "--tls-ca-cert-file",
                certificate(), "--user", "somebody", "on", ">s3cret", "~*", "&*", "+@all", "--requirepass",
                "general"});
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string certificate() const { return folder_ + "/certificate.pem"; }
    [[nodiscard]] client_options options() {
        return {.port = secure_port_,
                .executor = rt_.get_executor(),
                .user = "somebody",
                .password = "s3cret",
                .tls = {.is_enabled = true, .authority_file = certificate()},
                .command_timeout = 20s};
    }

    std::uint16_t secure_port_ = 0;
    std::string folder_;
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
    unknown.tls.authority_file = folder_ + "/other.pem";
    client c(unknown);
    const auto failed = error_of([&] { return c.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::tls_failed) << failed->what();
    EXPECT_NE(std::string(failed->what()).find("self-signed"), std::string::npos) << failed->what();
}

TEST_F(redis_secure_server, refuses_a_certificate_for_another_name) {
    auto elsewhere = options();
    elsewhere.tls.server_name = "localhost";
    client c(elsewhere);
    EXPECT_EQ(error_of([&] { return c.get("a"); })->code(), errc::tls_failed);
    elsewhere.tls.verifies = false;
    client careless(elsewhere);
    EXPECT_FALSE(careless.get("a"));
}

TEST_F(redis_secure_server, a_wrong_password_is_told_at_once_and_not_shown) {
    auto wrong = options();
    wrong.password = "wr0ng";
    client c(wrong);
    const auto failed = error_of([&] { return c.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::authentication);
    EXPECT_EQ(std::string(failed->what()).find("wr0ng"), std::string::npos);
    client nobody({.port = server().port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    EXPECT_EQ(error_of([&] { return nobody.get("a"); })->code(), errc::authentication);
}

TEST_F(redis_secure_server, files_that_cannot_be_used_are_told_at_construction) {
    auto missing = options();
    missing.tls.authority_file = folder_ + "/none.pem";
    EXPECT_EQ(error_of([&] {
                  const client c(missing);
                  return 0;
              })->code(),
              errc::tls_failed);
}

}  // namespace
}  // namespace levee::redis
