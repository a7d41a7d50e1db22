// Caches of two nodes over a real Redis: its store and its backplane, with links that are cut, slow or
// silent, and a server that is stopped, killed and started.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/cache.hpp"
#include "levee/redis/backplane.hpp"
#include "levee/redis/store.hpp"
#include "support/polling.hpp"
#include "support/redis_fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::redis {
namespace {

using namespace std::chrono_literals;
using tests::comes_true;
using tests::proxy_mode;
using tests::tcp_proxy;
using text_cache = cache<std::string, std::string>;

constexpr duration ping_interval = 100ms;
constexpr duration ping_timeout = 200ms;
constexpr duration coarse_error = 10ms;  // how far a coarse clock may be behind

/// A process' part: threads, connections and a cache of its own; each of its two ways to Redis by a proxy.
struct node {
    explicit node(std::uint16_t server, remote_options remote = {}, entry_options defaults = {})
        : to_store(server), to_bus(server) {
        const auto connect = [this, &remote](std::uint16_t port) {
            return std::make_shared<client>(client_options{
                .port = port, .executor = threads.get_executor(), .command_timeout = remote.timeout});
        };
        shared = std::make_shared<store>(connect(to_store.port()));
        bus = std::make_shared<backplane>(
            connect(to_bus.port()),
            backplane_options{.ping_interval = ping_interval, .ping_timeout = ping_timeout});
        EXPECT_TRUE(bus->wait_subscribed(20s));
        made = std::make_unique<text_cache>(
            cache_options<std::string, std::string>{.name = "c",
                                                    .local = {.max_entries = 10'000},
                                                    .remote = shared,
                                                    .backplane = bus,
                                                    .remote_options = remote,
                                                    .executor = threads.get_executor(),
                                                    .blocking_executor = threads.blocking_executor(),
                                                    .defaults = std::move(defaults)});
        EXPECT_TRUE(comes_true([this] { return is_linked(); }));
    }
    [[nodiscard]] bool is_linked() const { return bus->fresh_until() > clock::precise().now(); }

    runtime threads{2, 2};
    tcp_proxy to_store, to_bus;
    std::shared_ptr<store> shared{};
    std::shared_ptr<backplane> bus{};
    std::unique_ptr<text_cache> made{};
};

class redis_cache : public tests::redis_fixture {
protected:
    void SetUp() override {
        redis_fixture::SetUp();
        if (!IsSkipped()) {
            root_ = connect();
        }
    }

    // A node that is patient: for what is not about time-outs.
    [[nodiscard]] std::unique_ptr<node> make(duration timeout = 20s, entry_options defaults = {}) {
        return std::make_unique<node>(server().port(), remote_options{.timeout = timeout},
                                      std::move(defaults));
    }

    // How often the server has executed a command.
    [[nodiscard]] int executed(const std::string& command) {
        const std::string all = root_->execute("INFO", "commandstats").text();
        const std::string field = "cmdstat_" + command + ":calls=";
        const std::size_t at = all.find(field);
        return at == std::string::npos ? 0 : std::stoi(all.substr(at + field.size()));
    }

    std::shared_ptr<client> root_;
};

const auto loads = [](std::string value) {
    return [value = std::move(value)](const std::string&) { return value; };
};
const auto must_not_load = [](const std::string& key) -> std::string {
    ADD_FAILURE() << "a load of " << key;
    return "loaded";
};

TEST_F(redis_cache, nodes_share_what_one_has_loaded_and_hear_of_each_others_changes) {
    const auto a = make();
    const auto b = make();
    EXPECT_EQ(a->made->get_or_load("k", loads("1")), "1");
    EXPECT_EQ(b->made->get_or_load("k", must_not_load), "1");
    EXPECT_EQ(b->made->try_get("k"), "1");
    EXPECT_EQ(a->made->invalidate("k"), reach::acknowledged);
    EXPECT_TRUE(comes_true([&] { return !b->made->try_get("k"); }));
    EXPECT_EQ(b->made->get_or_load("k", loads("2")), "2");
    EXPECT_EQ(a->made->get_or_load("k", must_not_load), "2");
    a->made->put("k", "3");
    EXPECT_TRUE(comes_true([&] { return b->made->get("k") == "3"; }));
}

// M2, once for plain reads and once for leases.
TEST_F(redis_cache, an_answer_of_the_store_that_comes_after_the_message_is_not_kept) {
    const auto a = make();
    const auto b = make();
    for (const bool by_lease : {false, true}) {
        const std::string key = by_lease ? "leased" : "read";
        EXPECT_EQ(a->made->get_or_load(key, loads("old")), "old");
        std::atomic<bool> has_heard = false;
        const auto heard = b->bus->subscribe(  // not of the load, which is told as well
            [&](const backplane_message& one) {
                has_heard = has_heard || (one.name == key && one.what == change::invalidated);
            },
            {});
        const std::string command = by_lease ? "evalsha" : "get";
        // The marks are known and the server's clock too: what goes out is the one command.
        static_cast<void>(b->made->get("other"));
        const int before = executed(command);
        b->to_store.set(proxy_mode::holds_answers);
        std::jthread reader([&] {
            if (by_lease) {
                static_cast<void>(b->made->get_or_load(key, loads("new")));
            } else {
                static_cast<void>(b->made->get(key));
            }
        });
        EXPECT_TRUE(comes_true([&] { return executed(command) > before; }));
        EXPECT_EQ(a->made->invalidate(key), reach::acknowledged);
        EXPECT_TRUE(comes_true([&] { return has_heard.load(); }));
        b->to_store.set(proxy_mode::works);
        reader.join();
        EXPECT_NE(b->made->try_get(key), "old");
        EXPECT_NE(b->made->get(key), "old");
    }
}

// M3 and G3.
TEST_F(redis_cache, a_cut_link_ends_freshness_within_the_bound_and_a_healed_one_revalidates) {
    for (const proxy_mode cut : {proxy_mode::is_silent, proxy_mode::refuses}) {
        const auto a = make();
        const auto b = make();
        const std::string key = cut == proxy_mode::refuses ? "reset" : "silent";
        EXPECT_EQ(a->made->get_or_load(key, loads("old")), "old");
        EXPECT_EQ(b->made->get_or_load(key, must_not_load), "old");
        b->to_bus.set(cut);
        const time_point bound = after(clock::precise().now(), ping_interval + ping_timeout);
        a->made->put(key, "new");
        EXPECT_LE(b->bus->fresh_until(), bound);
        int beyond = 0, old_beyond = 0;  // looks that began after the bound, however long they took
        EXPECT_TRUE(comes_true([&] {
            if (clock::precise().now() > after(bound, coarse_error)) {
                ++beyond;
                old_beyond += b->made->try_get(key) == "old" ? 1 : 0;
            }
            return beyond == 50;
        }));
        EXPECT_EQ(old_beyond, 0);
        EXPECT_EQ(b->made->get(key), "new") << "L2 is asked";
        EXPECT_TRUE(comes_true([&] { return !b->bus->wait_subscribed({}); })) << "the link is given up";
        b->to_bus.set(proxy_mode::works);
        EXPECT_TRUE(comes_true([&] { return b->is_linked(); }));
        EXPECT_EQ(b->made->get(key), "new");
        EXPECT_TRUE(comes_true([&] { return b->made->stats().gaps >= 1; }));
        EXPECT_EQ(a->made->invalidate(key), reach::acknowledged);
        EXPECT_TRUE(comes_true([&] { return !b->made->get(key); }));
    }
}

TEST_F(redis_cache, l1_lives_no_longer_than_what_is_left_in_the_store) {
    const auto a = make(20s, {.ttl = 400ms, .ttl_jitter = 0.0});
    const auto b = make(20s, {.ttl = 1h});
    EXPECT_EQ(a->made->get_or_load("k", loads("v")), "v");
    EXPECT_EQ(b->made->get_or_load("k", must_not_load), "v");
    // Its hour in L1 is not awaited: with the store's entry it ends as well.
    EXPECT_TRUE(comes_true([&] { return !b->made->try_get("k"); }));
    EXPECT_TRUE(comes_true([&] { return !b->made->get("k"); }));
}

// M7: no exception; the breaker opens, and closes when the server answers again.
TEST_F(redis_cache, a_store_that_is_stopped_costs_a_load_and_no_request) {
    const auto a = std::make_unique<node>(server().port(),
                                          remote_options{.timeout = 50ms, .breaker = {.open_for = 200ms}});
    EXPECT_EQ(a->made->get_or_load("k", loads("1")), "1");
    server().pause();
    for (int i = 0; i < 10; ++i) {
        const std::string key = "k" + std::to_string(i);
        EXPECT_EQ(a->made->get_or_load(key, loads("loaded")), "loaded");
        EXPECT_FALSE(a->made->get("unknown"));
    }
    EXPECT_EQ(a->made->stats().breaker, circuit_state::open);
    EXPECT_GE(a->made->stats().unleased_loads, 10U);
    EXPECT_EQ(a->made->invalidate("k"), reach::queued);
    EXPECT_FALSE(a->made->try_get("k"));
    server().resume();
    EXPECT_TRUE(comes_true([&] { return a->made->stats().queued == 0; }));
    EXPECT_TRUE(comes_true([&] { return a->made->stats().breaker == circuit_state::closed; }));
    EXPECT_EQ(a->made->get_or_load("k", loads("2")), "2") << "the removal has reached the store";
}

TEST_F(redis_cache, garbage_in_the_store_is_a_miss) {
    const auto a = make();
    for (const std::string& bytes : {std::string("hello"), std::string(), std::string(200, '\xFF'),
                                     std::string("LEVE\1\1\0\0", 8) + std::string(120, 'x')}) {
        root_->set("c:v1:k", bytes);
        EXPECT_FALSE(a->made->get("k"));
        EXPECT_EQ(a->made->get_or_load("k", loads("v")), "v");
        EXPECT_TRUE(root_->get("c:v1:k")->starts_with("LEVE"));
        EXPECT_EQ(a->made->invalidate("k"), reach::acknowledged);
    }
    EXPECT_GE(a->shared->stats().foreign + a->shared->stats().corrupt, 4U);
}

// M8.
TEST_F(redis_cache, tags_prefixes_and_clear_reach_the_other_node_and_scan_nothing) {
    const auto a = make();
    const auto b = make();
    const std::vector<std::string> keys{
        "user:1",       "users:1", "user",        "{a}:1", std::string("\0\xFF\r\n", 4),
        "\xE6\xBC\xA2", "",        "user:x*?[a]", "tagged"};
    const auto fill = [&] {
        for (const std::string& key : keys) {
            const entry_options options{.tags = key == "tagged" ? std::vector<std::string>{"t"}
                                                                : std::vector<std::string>{}};
            static_cast<void>(a->made->get_or_load(key, loads(key + "!"), options));
            static_cast<void>(b->made->get_or_load(key, loads(key + "!"), options));
            EXPECT_EQ(b->made->try_get(key), key + "!");
        }
    };
    const auto left = [&] {
        std::vector<std::string> found;
        for (const std::string& key : keys) {
            if (b->made->get(key)) {
                found.push_back(key);
            }
        }
        return found;
    };
    fill();
    EXPECT_EQ(a->made->invalidate_tag("t"), reach::acknowledged);
    EXPECT_TRUE(comes_true([&] { return left().size() == keys.size() - 1; }));
    EXPECT_FALSE(b->made->get("tagged"));
    fill();
    EXPECT_EQ(a->made->invalidate_prefix("user"), reach::acknowledged);
    EXPECT_TRUE(comes_true([&] { return left().size() == keys.size() - 2; }));
    EXPECT_TRUE(b->made->get("users:1"));
    EXPECT_TRUE(b->made->get("user"));
    fill();
    EXPECT_EQ(a->made->clear(), reach::acknowledged);
    EXPECT_TRUE(comes_true([&] { return left().empty(); }));
    fill();
    EXPECT_FALSE(a->made->get(std::string(600, 'x'))) << "too long a key stays out of the store";
    EXPECT_EQ(a->made->get_or_load(std::string(600, 'x'), loads("v")), "v");
    for (const char* command : {"keys", "flushall", "flushdb", "scan"}) {
        EXPECT_EQ(executed(command), 0) << command;
    }
}

TEST_F(redis_cache, a_prefix_erased_in_the_store_is_invalid_for_who_reads_its_marks) {
    const auto a = make();
    for (const char* key : {"user:1", "users:1"}) {
        EXPECT_EQ(a->made->get_or_load(key, loads("old")), "old");
    }
    static_cast<void>(a->shared->erase_prefix("c", "user"));
    EXPECT_TRUE(comes_true([&] { return !root_->exists("c:v1:user:1"); }));
    const auto b = make();
    EXPECT_EQ(b->made->get_or_load("user:1", loads("new")), "new");
    EXPECT_EQ(b->made->get_or_load("users:1", must_not_load), "old");
}

TEST_F(redis_cache, a_server_that_lost_its_data_makes_nothing_valid_that_was_not) {
    const auto a = make();
    const auto b = make();
    EXPECT_EQ(a->made->get_or_load("k", loads("1")), "1");
    root_->execute("FLUSHALL", "SYNC");  // as a restart without data, the connections staying
    EXPECT_EQ(b->made->get_or_load("k", loads("2")), "2");
    EXPECT_EQ(b->made->clear(), reach::acknowledged);
    EXPECT_TRUE(comes_true([&] { return !a->made->try_get("k"); }));
    EXPECT_EQ(a->made->get_or_load("k", loads("3")), "3");
}

// Killed and started, and stopped and continued, while eight threads ask: nobody gets an error, and the
// source is asked more often, but only so many at a time.
TEST_F(redis_cache, a_server_that_comes_and_goes_under_load_fails_no_request) {
    constexpr int keys = 200, max_loads = 4;
    const auto a = std::make_unique<node>(
        server().port(),
        remote_options{.timeout = 50ms, .breaker = {.open_for = 100ms}, .max_concurrent_loads = max_loads},
        entry_options{.ttl = 100ms});
    std::atomic<int> asked = 0, failed = 0, loaded = 0;
    std::array<std::atomic<int>, 8> asked_by{};
    // While Redis is away and each thread has seen that, all loads are without a lease.
    std::atomic<int> unleased = 0, most_unleased = 0;
    std::atomic<bool> is_away = false, is_over = false;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                xoshiro256 random(static_cast<std::uint64_t>(t));
                while (!is_over) {
                    const std::string key = std::to_string(random() % keys);
                    try {
                        const auto value = a->made->get_or_load(key, [&](const std::string& of) {
                            const bool is_counted = is_away;
                            const int now = is_counted ? ++unleased : 0;
                            int most = most_unleased;
                            while (now > most && !most_unleased.compare_exchange_weak(most, now)) {
                            }
                            ++loaded;
                            std::this_thread::sleep_for(1ms);  // a source that takes its time
                            unleased -= is_counted ? 1 : 0;
                            return of + "!";
                        });
                        failed += value == key + "!" ? 0 : 1;
                    } catch (const std::exception& e) {
                        ADD_FAILURE() << e.what();
                        ++failed;
                    }
                    ++asked;
                    ++asked_by[static_cast<std::size_t>(t)];
                }
            });
        }
        // Until so many more requests were answered, and `is_reached` is.
        const auto run = [&](const char* what, const std::function<bool()>& is_reached) {
            const int asked_before = asked, loaded_before = loaded;
            const time_point began = clock::precise().now();
            EXPECT_TRUE(comes_true([&] { return asked >= asked_before + 1'000 && is_reached(); })) << what;
            const double seconds = std::chrono::duration<double>(clock::precise().now() - began).count();
            std::printf("%-22s %8.0f requests/s, %6.0f loads/s\n", what, (asked - asked_before) / seconds,
                        (loaded - loaded_before) / seconds);
        };
        const auto breaker_is = [&](circuit_state wanted) {
            return [&, wanted] { return a->made->stats().breaker == wanted; };
        };
        const auto shares_again = [&] {  // it stores in Redis what it loads
            return [&, before = a->made->stats().leases_won] {
                return a->made->stats().leases_won > before + 20;
            };
        };
        const auto loads_alone = [&] {
            return [&, before = a->made->stats().unleased_loads] {
                return a->made->stats().unleased_loads > before + 20;
            };
        };
        const auto each_asks_again = [&] {
            std::array<int, 8> before{};
            for (std::size_t t = 0; t < before.size(); ++t) {
                before[t] = asked_by[t];
            }
            return [&, before] {
                return std::equal(before.begin(), before.end(), asked_by.begin(),
                                  [](int old, const std::atomic<int>& now) { return now >= old + 2; });
            };
        };
        const auto be_without_redis = [&](const char* what) {
            run("breaker opens", breaker_is(circuit_state::open));
            run("each has seen it", each_asks_again());
            is_away = true;
            run(what, loads_alone());
            is_away = false;
        };
        run("with Redis", shares_again());
        server().kill();
        be_without_redis("Redis killed");
        server().start();
        run("breaker closes", breaker_is(circuit_state::closed));
        run("started again", shares_again());
        server().pause();
        be_without_redis("Redis stopped");
        server().resume();
        run("breaker closes", breaker_is(circuit_state::closed));
        run("continued", shares_again());
        is_over = true;
    }
    EXPECT_EQ(failed, 0);
    EXPECT_GT(a->made->stats().unleased_loads, 0U);
    EXPECT_GT(a->made->stats().remote_hits + a->made->stats().leases_won, 0U);
    EXPECT_LE(most_unleased, max_loads);
    EXPECT_GT(most_unleased, 1) << "they were never several: the limit was not tried";
}

}  // namespace
}  // namespace levee::redis
