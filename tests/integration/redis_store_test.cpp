// redis::store and what else is in a real server: what ends, what cannot be read, what is too large, what is
// erased, and a server that is stopped or forgets.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/error.hpp"
#include "support/code_of.hpp"
#include "support/polling.hpp"
#include "support/redis_store_fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::code_of;
using tests::comes_true;
using tests::entry_of;
using tests::redis_store;

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
