// redis::store by its contract, against servers of all kinds: whole, restarted, without scripts, without the
// right to them, a Cluster, too old, away.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/testing/chaos_store.hpp"
#include "levee/testing/remote_store_contract.hpp"
#include "support/fake_redis.hpp"
#include "support/free_port.hpp"
#include "support/polling.hpp"
#include "support/redis_store_fixture.hpp"

namespace levee::redis {
namespace {

using namespace std::chrono_literals;
using levee::testing::remote_store_contract;
using levee::testing::remote_store_under_test;
using tests::comes_true;
using tests::entry_of;
using tests::redis_store;

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

bool holds_without_leases(const std::string& rule) {
    for (const char* each : {"keeps_what_was_put", "takes_any_key", "answers_in_order", "ends_lives",
                             "orders_by_version", "erases_entries", "counts_marks"}) {
        if (rule == each) {
            return true;
        }
    }
    return false;
}

// Each case of the contract with keys of its own; time passes by waiting for it.
void meets_contract(const std::shared_ptr<remote_store>& with, const std::string& prefix,
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

}  // namespace
}  // namespace levee::redis
