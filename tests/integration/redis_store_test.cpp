// redis::store against real servers: whole, without scripts, as a Cluster, restarted, stopped, with foreign
// data.
#include "levee/redis/store.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/error.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/remote_store_contract.hpp"
#include "support/code_of.hpp"
#include "support/fake_redis.hpp"
#include "support/free_port.hpp"
#include "support/polling.hpp"
#include "support/redis_fixture.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::testing::remote_store_contract;
using levee::testing::remote_store_under_test;
using tests::code_of;
using tests::comes_true;
using tests::redis_server;

remote_entry entry_of(std::string_view text, duration fresh, duration stale = {}) {
    remote_entry made;
    const bytes_view raw = as_bytes(text);
    made.payload.assign(raw.begin(), raw.end());
    made.fresh_left = fresh;
    made.stale_left = stale;
    return made;
}

// The blocking forms of the interface, which drive a store's awaitable ones.
class by_coroutines final : public remote_store {
public:
    explicit by_coroutines(std::shared_ptr<remote_store> inner) : inner_(std::move(inner)) {}
    [[nodiscard]] remote_capabilities capabilities() const override { return inner_->capabilities(); }
    awaitable<std::vector<std::optional<remote_entry>>> async_get(std::vector<std::string> keys) override {
        return inner_->async_get(std::move(keys));
    }
    awaitable<lease_answer> async_get_or_lease(lease_request request) override {
        return inner_->async_get_or_lease(std::move(request));
    }
    awaitable<bool> async_fill(std::string key, std::uint64_t token, remote_entry entry) override {
        return inner_->async_fill(std::move(key), token, std::move(entry));
    }
    awaitable<bool> async_extend(std::string key, std::uint64_t token, duration lease) override {
        return inner_->async_extend(std::move(key), token, lease);
    }
    awaitable<void> async_release(std::string key, std::uint64_t token) override {
        return inner_->async_release(std::move(key), token);
    }
    awaitable<void> async_put(std::string key, remote_entry entry) override {
        return inner_->async_put(std::move(key), std::move(entry));
    }
    awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override {
        return inner_->async_put_if_newer(std::move(key), std::move(entry));
    }
    awaitable<std::uint64_t> async_begin_write(std::string key, duration lease) override {
        return inner_->async_begin_write(std::move(key), lease);
    }
    awaitable<void> async_erase(std::vector<std::string> keys) override {
        return inner_->async_erase(std::move(keys));
    }
    awaitable<void> async_expire(std::string key) override { return inner_->async_expire(std::move(key)); }
    awaitable<bool> async_touch(std::string key, duration fresh, duration stale) override {
        return inner_->async_touch(std::move(key), fresh, stale);
    }
    awaitable<remote_marks> async_marks(std::string name_space) override {
        return inner_->async_marks(std::move(name_space));
    }
    awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override {
        return inner_->async_mark(std::move(name_space), std::move(what));
    }

private:
    std::shared_ptr<remote_store> inner_;
};

class redis_store : public tests::redis_fixture {
protected:
    std::shared_ptr<store> make(const store_options& options = {}) {
        return std::make_shared<store>(connect(), options);
    }

    // Each case of the contract with keys of its own; time passes by waiting for it.
    static void meets_contract(const std::shared_ptr<remote_store>& with, const std::string& prefix,
                               std::function<void()> lose_data = {}, bool has_leases = true) {
        const remote_store_under_test subject{
            .store = with,
            .pass = [](duration time) { std::this_thread::sleep_for(time + 2ms); },
            .lose_data = std::move(lose_data)};
        for (const auto& rule : remote_store_contract()) {
            if (!has_leases && !holds_without_leases(rule.name)) {
                continue;
            }
            SCOPED_TRACE(rule.name);
            EXPECT_NO_THROW(rule.run(subject, prefix + rule.name + ":"));
        }
    }
    static bool holds_without_leases(const std::string& rule) {
        for (const char* each : {"keeps_what_was_put", "takes_any_key", "answers_in_order", "ends_lives",
                                 "orders_by_version", "erases_entries", "counts_marks"}) {
            if (rule == each) {
                return true;
            }
        }
        return false;
    }
};

TEST_F(redis_store, meets_the_contract) {
    const auto with = make();
    ASSERT_TRUE(with->capabilities().has_leases && with->capabilities().has_versions &&
                with->capabilities().has_marks);
    const auto root = connect();
    meets_contract(with, "blocking:", [&] { root->execute("FLUSHALL", "SYNC"); });
    EXPECT_EQ(with->stats().corrupt + with->stats().foreign + with->stats().oversized, 0U);
}

TEST_F(redis_store, meets_the_contract_by_coroutines) {
    const auto root = connect();
    meets_contract(std::make_shared<by_coroutines>(make()),
                   "async:", [&] { root->execute("FLUSHALL", "SYNC"); });
}

TEST_F(redis_store, meets_the_contract_across_restarts_of_the_server) {
    meets_contract(make(), "restart:", [&] {
        server().kill();
        server().start();
    });
}

TEST_F(redis_store, meets_the_contract_behind_delays) {
    const auto with = std::make_shared<levee::testing::chaos_store>(
        make(), async::steady_scheduler(rt_.get_executor()),
        levee::testing::chaos_store_options{.seed = 3, .call_delay = 2ms, .answer_delay = 2ms});
    meets_contract(with, "chaos:");
}

std::vector<std::string> words(std::initializer_list<const char*> all) {
    return {all.begin(), all.end()};
}

const std::vector<std::string> without_scripts = words(
    {"--rename-command", "EVAL", "", "--rename-command", "EVALSHA", "", "--rename-command", "SCRIPT", ""});

TEST_F(redis_store, does_without_leases_where_there_are_no_scripts) {
    server(without_scripts);
    const auto with = make();
    const auto can = with->capabilities();
    EXPECT_FALSE(can.has_leases || can.has_versions || can.has_marks);
    meets_contract(with, "plain:", {}, false);
    meets_contract(std::make_shared<by_coroutines>(with), "async:", {}, false);
    const auto asked = with->get_or_lease({.key = "k", .lease = 1s});
    ASSERT_EQ(asked.what, lease_outcome::granted);
    EXPECT_TRUE(with->extend("k", asked.token, 1s));
    EXPECT_TRUE(with->fill("k", asked.token, entry_of("v", 50s, 90s)));
    EXPECT_EQ(with->get_or_lease({.key = "k", .lease = 1s}).what, lease_outcome::entry);
    EXPECT_EQ(with->get_or_lease({.key = "k", .lease = 1s, .even_if_fresh = true}).what,
              lease_outcome::granted);
    EXPECT_FALSE(with->touch("k", 90s, 90s));
    static_cast<void>(with->begin_write("k", 1s));
    EXPECT_FALSE(with->get({"k"}).front()) << "begin_write drops the entry";
    with->put("k", entry_of("v", 50s));
    with->expire("k");
    EXPECT_FALSE(with->get({"k"}).front()) << "expire removes";
    EXPECT_THROW(static_cast<void>(with->put_if_newer("k", entry_of("v", 50s))), levee::error);
    EXPECT_THROW(static_cast<void>(with->marks("n")), levee::error);
    EXPECT_THROW(static_cast<void>(with->mark("n", "")), levee::error);
}

TEST_F(redis_store, finds_out_by_itself_that_there_are_no_scripts) {
    server(without_scripts);
    const auto with = make();  // nobody asks for its capabilities
    EXPECT_THROW(with->put("k", entry_of("v", 50s)), levee::error);
    with->put("k", entry_of("v", 50s));
    EXPECT_TRUE(with->get({"k"}).front());
    EXPECT_FALSE(with->capabilities().has_leases);
}

TEST_F(redis_store, tells_a_user_who_may_not_run_scripts_from_one_who_may_not_have_a_key) {
    const auto root = connect();
    root->execute("ACL", "SETUSER", "plain", "on", ">secret", "~*", "+@all", "-@scripting");
    root->execute("ACL", "SETUSER", "narrow", "on", ">secret", "~k*", "+@all");
    const auto as = [&](const char* user) {
        return std::make_shared<store>(std::make_shared<client>(client_options{.port = server().port(),
                                                                               .executor = rt_.get_executor(),
                                                                               .user = user,
                                                                               .password = "secret",
                                                                               .command_timeout = 20s}));
    };
    const auto plain = as("plain");
    EXPECT_FALSE(plain->capabilities().has_leases);
    plain->put("k", entry_of("v", 50s));
    EXPECT_TRUE(plain->get({"k"}).front());
    const auto narrow = as("narrow");
    EXPECT_TRUE(narrow->capabilities().has_leases);
    EXPECT_THROW(static_cast<void>(narrow->marks("n")), levee::error);
    EXPECT_TRUE(narrow->capabilities().has_leases);
    EXPECT_EQ(narrow->get_or_lease({.key = "k2", .lease = 1s}).what, lease_outcome::granted);
}

TEST_F(redis_store, reads_lives_by_this_machines_clock_where_there_is_no_time) {
    auto arguments = without_scripts;
    for (const char* each : {"--rename-command", "TIME", ""}) {
        arguments.emplace_back(each);
    }
    server(arguments);
    const auto with = make();
    static_cast<void>(with->capabilities());
    with->put("k", entry_of("v", 50s, 90s));
    const auto found = with->get({"k"}).front();
    ASSERT_TRUE(found);
    EXPECT_GT(found->fresh_left, 45s);
    EXPECT_LE(found->fresh_left, 50s);
}

TEST_F(redis_store, meets_the_contract_on_a_cluster_of_one) {
    // Its bus would take the port 10,000 above, which may not exist.
    server({"--cluster-enabled", "yes", "--cluster-port", std::to_string(tests::free_port())});
    const auto root = connect();
    root->execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383);
    ASSERT_TRUE(comes_true([&] {
        return root->execute("CLUSTER", "INFO").text().find("cluster_state:ok") != std::string::npos;
    }));
    // Nobody has told the store that it is one.
    const std::vector<std::string> keys{"a", "b", "c"};
    EXPECT_EQ(make()->get(keys).size(), 3U);
    make()->erase(keys);
    const auto by_coroutine = std::make_shared<by_coroutines>(make());
    EXPECT_EQ(by_coroutine->get(keys).size(), 3U);
    std::make_shared<by_coroutines>(make())->erase(keys);
    const auto with = make();
    EXPECT_TRUE(with->capabilities().has_leases);
    meets_contract(with, "cluster:", [&] { root->execute("FLUSHALL", "SYNC"); });
}

TEST_F(redis_store, learns_of_a_cluster_by_several_calls_at_once) {
    constexpr int callers = 4;
    tests::fake_redis cluster([](tests::fake_session& session) {
        if (!session.greet()) {
            return;
        }
        int asked = 0;
        for (std::string said = session.command(); !said.empty(); said = session.command()) {
            if (said == "TIME") {
                session.say("*2\r\n$10\r\n1764000000\r\n$1\r\n0\r\n");
            } else if (said != "MGET a b") {
                session.say("$-1\r\n");
            } else if (++asked == callers) {  // all have asked before any is told
                for (int i = 0; i < callers; ++i) {
                    session.say("-CROSSSLOT Keys in request don't hash to the same slot\r\n");
                }
            }
        }
    });
    const auto db = std::make_shared<client>(
        client_options{.port = cluster.port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    store with(db);
    static_cast<void>(with.get({"a"}));  // the time is known
    std::vector<std::future<std::size_t>> got;
    for (int i = 0; i < callers; ++i) {
        got.push_back(std::async(std::launch::async, [&] { return with.get({"a", "b"}).size(); }));
    }
    for (auto& each : got) {
        EXPECT_EQ(each.get(), 2U);
    }
}

TEST_F(redis_store, tells_a_server_that_is_too_old) {
    tests::fake_redis old([](tests::fake_session& session) {
        if (!session.greet()) {
            return;
        }
        for (std::string said = session.command(); !said.empty(); said = session.command()) {
            if (said == "TIME") {
                session.say("*2\r\n$10\r\n1764000000\r\n$1\r\n0\r\n");
            } else if (said == "INFO server") {
                session.say("$43\r\n# Server\r\nredis_version:4.0.14\r\nredis_mode:\r\n");
            } else {
                session.say("$5\r\nlevee\r\n");
            }
        }
    });
    const auto db = std::make_shared<client>(
        client_options{.port = old.port(), .executor = rt_.get_executor(), .command_timeout = 20s});
    const store with(db);
    EXPECT_FALSE(with.capabilities().has_leases);
}

TEST_F(redis_store, assumes_all_of_a_server_that_does_not_answer_and_asks_again) {
    server(without_scripts).kill();
    const auto with = std::make_shared<store>(connect(50ms));
    EXPECT_TRUE(with->capabilities().has_leases);
    server().start();
    EXPECT_TRUE(comes_true([&] { return !with->capabilities().has_leases; }));
}

TEST_F(redis_store, voids_a_lease_by_anybodys_del) {
    const auto with = make();
    const auto root = connect();
    const auto asked = with->get_or_lease({.key = "k", .lease = 20s});
    root->execute("DEL", "k");
    EXPECT_FALSE(with->fill("k", asked.token, entry_of("old", 50s)));
    EXPECT_FALSE(with->get({"k"}).front());
    static_cast<void>(with->begin_write("k", 20s));
    root->execute("DEL", "k");
    EXPECT_EQ(with->get_or_lease({.key = "k", .lease = 20s}).what, lease_outcome::granted);
}

TEST_F(redis_store, leaves_nothing_behind_that_has_ended) {
    const auto with = make();
    const auto root = connect();
    const auto life = [&](const char* key) { return root->time_to_live(key).value_or(0s); };
    const auto asked = with->get_or_lease({.key = "k", .lease = 20s});
    EXPECT_GT(life("k"), 15s);
    EXPECT_LE(life("k"), 20s + 1ms) << "rounded up to milliseconds";
    ASSERT_TRUE(with->fill("k", asked.token, entry_of("v", 30s, 50s)));
    EXPECT_GT(life("k"), 45s);
    EXPECT_LE(life("k"), 50s + 1ms);
    const auto ahead = with->get_or_lease({.key = "k", .lease = 70s, .even_if_fresh = true});
    EXPECT_GT(life("k"), 65s) << "the lease outlives the entry";
    with->release("k", ahead.token);
    EXPECT_LE(life("k"), 50s + 1ms);
    with->put("ever", entry_of("v", duration::max()));
    EXPECT_EQ(life("ever"), duration::max());
    with->put("gone", entry_of("v", 0s));
    EXPECT_FALSE(root->exists("gone"));
    static_cast<void>(with->begin_write("w", 20s));
    EXPECT_LE(life("w"), 20s + 1ms);
    with->expire("w");
    EXPECT_FALSE(root->exists("w"));
    const auto released = with->get_or_lease({.key = "r", .lease = 20s});
    with->release("r", released.token);
    EXPECT_FALSE(root->exists("r"));
}

// M7: garbage, an old format, another type, too large: misses, counted, and mended by the next load.
TEST_F(redis_store, takes_what_it_cannot_read_for_a_miss_and_mends_it) {
    const auto with = make({.max_value_bytes = 1000});
    const auto root = connect();
    root->set("garbage", "hello");
    root->set("empty", "");
    root->execute("RPUSH", "list", "x");
    root->execute("HSET", "hash", "f", "x");
    with->put("damaged", entry_of("some value", 50s));
    root->execute("SETRANGE", "damaged", 100, "X");
    with->put("moved", entry_of("some value", 50s));
    root->execute("RENAME", "moved", "elsewhere");
    with->put("old", entry_of("some value", 50s));
    root->execute("SETRANGE", "old", 4, std::string(1, '\0'));
    {
        const auto larger = std::make_shared<store>(connect());
        larger->put("large", entry_of(std::string(1001, 'x'), 50s));
    }
    const std::vector<std::string> keys{"garbage", "empty",     "list", "hash",
                                        "damaged", "elsewhere", "old",  "large"};
    for (const auto& found : with->get(keys)) {
        EXPECT_FALSE(found);
    }
    EXPECT_EQ(with->stats().corrupt, 2U);
    EXPECT_EQ(with->stats().oversized, 1U);
    EXPECT_EQ(with->stats().foreign, 3U) << "an MGET takes other types for nothing";
    for (const std::string& key : keys) {
        EXPECT_FALSE(with->get({key}).front()) << key;
        const auto asked = with->get_or_lease({.key = key, .lease = 20s});
        ASSERT_EQ(asked.what, lease_outcome::granted) << key;
        EXPECT_FALSE(asked.entry) << key;
        ASSERT_TRUE(with->fill(key, asked.token, entry_of("right", 50s))) << key;
        EXPECT_TRUE(with->get({key}).front()) << key;
    }
}

TEST_F(redis_store, stores_nothing_too_large_and_removes_what_it_would_have_replaced) {
    const auto with = make({.max_value_bytes = 1000});
    with->put("k", entry_of("small", 50s));
    with->put("k", entry_of(std::string(1001, 'x'), 50s));
    EXPECT_FALSE(with->get({"k"}).front());
    const auto asked = with->get_or_lease({.key = "k", .lease = 20s});
    EXPECT_TRUE(with->fill("k", asked.token, entry_of(std::string(1001, 'x'), 50s)));
    EXPECT_EQ(with->get_or_lease({.key = "k", .lease = 20s}).what, lease_outcome::granted);
    EXPECT_EQ(with->stats().oversized, 2U);
}

TEST_F(redis_store, removes_nothing_for_a_late_fill_or_an_older_version_that_is_too_large) {
    const auto with = make({.max_value_bytes = 1000});
    const remote_entry large = entry_of(std::string(1001, 'x'), 50s);
    const auto asked = with->get_or_lease({.key = "k", .lease = 20s});
    with->put("k", entry_of("newer", 50s));
    EXPECT_FALSE(with->fill("k", asked.token, large));
    EXPECT_TRUE(with->get({"k"}).front()) << "its lease had gone";
    EXPECT_FALSE(with->put_if_newer("k", large)) << "it is not stored";
    runtime other;
    EXPECT_FALSE(
        asio::co_spawn(other.get_executor(), with->async_put_if_newer("k", large), asio::use_future).get());
    EXPECT_EQ(with->stats().oversized, 3U);
}

TEST_F(redis_store, runs_its_scripts_again_after_the_server_forgot_them) {
    const auto with = make();
    const auto root = connect();
    with->put("k", entry_of("v", 50s));
    root->execute("SCRIPT", "FLUSH");
    EXPECT_EQ(with->get_or_lease({.key = "k", .lease = 20s}).what, lease_outcome::entry);
    root->execute("SCRIPT", "FLUSH");
    EXPECT_EQ(asio::co_spawn(rt_.get_executor(), with->async_get_or_lease({.key = "k", .lease = 20s}),
                             asio::use_future)
                  .get()
                  .what,
              lease_outcome::entry);
}

TEST_F(redis_store, asks_once_for_a_lease_and_for_a_thousand_keys) {
    const auto db = connect();
    const auto with = std::make_shared<store>(db);
    std::vector<std::string> keys;
    for (int i = 0; i < 1000; ++i) {
        keys.push_back("k" + std::to_string(i));
        if (i % 2 == 0) {
            with->put(keys.back(), entry_of(keys.back(), 50s));
        }
    }
    static_cast<void>(with->capabilities());
    const auto first = with->get_or_lease({.key = "first", .lease = 20s});  // makes the scripts known
    static_cast<void>(with->fill("first", first.token, entry_of("v", 50s)));
    const auto sent = [&] { return db->stats().sent; };
    auto before = sent();
    const auto found = with->get(keys);
    EXPECT_EQ(sent() - before, 1U);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        ASSERT_EQ(found[i].has_value(), i % 2 == 0);
        ASSERT_TRUE(!found[i] || as_text(found[i]->payload) == keys[i]);
    }
    before = sent();
    const auto asked = with->get_or_lease({.key = "k1", .lease = 20s});
    EXPECT_EQ(sent() - before, 1U);
    before = sent();
    EXPECT_TRUE(with->fill("k1", asked.token, entry_of("v", 50s)));
    EXPECT_EQ(sent() - before, 1U);
}

TEST_F(redis_store, compresses_what_is_large) {
    std::shared_ptr<store> with;
    try {
        with = make({.compress_above = 1000});
    } catch (const std::invalid_argument&) {
        GTEST_SKIP() << "built without zstd";
    }
    const auto root = connect();
    const std::string text(100'000, 'x');
    with->put("k", entry_of(text, 50s));
    EXPECT_EQ(with->stats().compressed, 1U);
    EXPECT_LT(root->get("k")->size(), 1000U);
    EXPECT_EQ(as_text(make()->get({"k"}).front()->payload), text) << "others read it";
}

TEST_F(redis_store, says_timeout_connection_lost_or_unavailable) {
    const auto with = std::make_shared<store>(connect(100ms));
    const auto put = [&] { with->put("k", entry_of("v", 50s)); };
    const auto get = [&] { static_cast<void>(with->get({"k"})); };
    put();
    server().pause();
    EXPECT_EQ(code_of(put), levee::errc::timeout);
    EXPECT_EQ(code_of(get), levee::errc::timeout);
    server().resume();
    EXPECT_TRUE(comes_true([&] { return !code_of(get); }));
    tests::tcp_proxy wire(server().port());
    const auto held = std::make_shared<store>(connect(20s, wire.port()));
    held->put("k", entry_of("v", 50s));  // it knows its scripts
    wire.set(tests::proxy_mode::holds_answers);
    std::jthread killer([&, root = connect()] {
        EXPECT_TRUE(comes_true([&] { return root->exists("sent"); }));
        server().kill();
        wire.set(tests::proxy_mode::refuses);  // it would hold back the connection's end, too
    });
    EXPECT_EQ(code_of([&] { held->put("sent", entry_of("v", 50s)); }), errc::connection_lost)
        << "sent, and the outcome is not known";
    killer.join();
    const auto impatient = std::make_shared<store>(
        std::make_shared<client>(client_options{.port = server().port(),
                                                .executor = rt_.get_executor(),
                                                .while_disconnected = when_disconnected::fail}));
    EXPECT_EQ(code_of([&] { impatient->put("k", entry_of("v", 50s)); }), levee::errc::unavailable);
}

// Whatever was asked of a stopped server is done when it goes on, leases included.
TEST_F(redis_store, gives_back_leases_that_came_too_late) {
    const auto with = std::make_shared<store>(connect(50ms));
    with->put("warm", entry_of("v", 50s));
    server().pause();
    EXPECT_THROW(static_cast<void>(with->get_or_lease({.key = "read", .lease = 1h})), levee::error);
    EXPECT_THROW(static_cast<void>(with->begin_write("written", 1h)), levee::error);
    EXPECT_THROW(asio::co_spawn(rt_.get_executor(), with->async_get_or_lease({.key = "async", .lease = 1h}),
                                asio::use_future)
                     .get(),
                 levee::error);
    server().resume();
    const auto other = make();
    for (const char* key : {"read", "written", "async"}) {
        EXPECT_TRUE(comes_true([&] {
            return other->get_or_lease({.key = key, .lease = 1h}).what == lease_outcome::granted;
        })) << key;
    }
}

TEST_F(redis_store, marks_collapse_into_one_of_all_when_there_are_too_many) {
    const auto with = make({.max_marks = 3});
    const auto begin = with->marks("n");
    for (int i = 0; i < 4; ++i) {
        static_cast<void>(with->mark("n", "t" + std::to_string(i)));
    }
    const auto found = with->marks("n");
    EXPECT_EQ(found.count, begin.count + 4);
    ASSERT_EQ(found.marks.size(), 1U);
    EXPECT_EQ(found.marks.front(), std::pair(std::string(), found.count)) << "all that was marked is covered";
}

// The server's clock was set back, and its data lost: counters still begin above what this process knows.
TEST_F(redis_store, counters_begin_above_what_is_known_whatever_the_clock_says) {
    const auto with = make();
    const auto root = connect();
    static_cast<void>(with->marks("n"));
    root->execute("HSET", "levee:marks:n", "c", "8000000000000000");
    const std::uint64_t ahead = with->mark("n", "t");
    EXPECT_EQ(ahead, 8'000'000'000'000'001U);
    root->execute("FLUSHALL", "SYNC");
    EXPECT_EQ(with->marks("n").count, ahead + 1);
}

// M8: a prefix is not another's beginning, patterns are taken by the letter, and nothing of others is
// touched.
TEST_F(redis_store, erases_a_prefix_by_a_mark_and_frees_what_it_covers) {
    const auto with = make({.scan_count = 10});
    const auto root = connect();
    remote_entry entry = entry_of("v", 50s);
    entry.stamp = with->marks("n").count;
    const std::vector<std::string> covered{"n:v1:user:1", "n:v1:user:*", "n:v1:user:[a]:b", "n:v1:user:"};
    const std::vector<std::string> others{"n:v1:users:1", "n:v1:user", "m:v1:user:1", "n:v1:use?:1"};
    for (const auto* group : {&covered, &others}) {
        for (const std::string& key : *group) {
            with->put(key, entry);
        }
    }
    for (int i = 0; i < 100; ++i) {
        with->put("n:v1:user:many:" + std::to_string(i), entry);
    }
    root->set("n:v1:user:foreign", "not levee's");
    root->execute("RPUSH", "n:v1:user:list", "x");
    const std::uint64_t count = with->erase_prefix("n", "user");
    EXPECT_GT(count, entry.stamp);
    bool is_marked = false;
    for (const auto& [name, number] : with->marks("n").marks) {
        is_marked = is_marked || (name == "puser:" && number == count);
    }
    EXPECT_TRUE(is_marked);
    remote_entry later = entry;
    later.stamp = count;
    with->put("n:v1:user:later", later);
    EXPECT_TRUE(comes_true([&] { return root->execute("DBSIZE").integer() == 4 + 2 + 1 + 1; }))
        << "others, foreign ones, the later one and the marks stay: " << root->execute("DBSIZE").integer();
    EXPECT_TRUE(root->exists("n:v1:user:later"));
    static_cast<void>(with->sweep("n:v1:user:", count + 1));
    EXPECT_FALSE(root->exists("n:v1:user:later"));
    for (const std::string& key : others) {
        EXPECT_TRUE(with->get({key}).front()) << key;
    }
    EXPECT_EQ(root->execute("INFO", "commandstats").text().find("cmdstat_keys"), std::string::npos);
}

TEST_F(redis_store, gives_no_token_twice_by_many_threads_and_processes) {
    const auto first = make();
    const auto second = make();
    std::mutex mutex;
    std::set<std::uint64_t> tokens;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 250; ++i) {
                    const auto token = (t % 2 == 0 ? first : second)->begin_write("k", 1s);
                    const std::lock_guard lock(mutex);
                    tokens.insert(token);
                }
            });
        }
    }
    EXPECT_EQ(tokens.size(), 1000U);
    EXPECT_FALSE(tokens.contains(0));
}

TEST_F(redis_store, refuses_wrong_options_and_leases) {
    EXPECT_THROW(make({.max_value_bytes = 0}), std::invalid_argument);
    EXPECT_THROW(make({.max_value_bytes = std::size_t{1} << 30U}), std::invalid_argument);
    EXPECT_THROW(make({.max_marks = 0}), std::invalid_argument);
    EXPECT_THROW(make({.scan_count = 0}), std::invalid_argument);
    EXPECT_THROW(store(nullptr), std::invalid_argument);
    const auto with = make();
    EXPECT_THROW(static_cast<void>(with->get_or_lease({.key = "k"})), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(with->begin_write("k", -1s)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(with->extend("k", 1, 0s)), std::invalid_argument);
}

}  // namespace
}  // namespace levee::redis
