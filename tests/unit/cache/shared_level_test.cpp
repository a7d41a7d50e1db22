// A cache over a shared level and a backplane, in virtual time: what is answered when the source, the shared
// level or the link fails.
#include <gtest/gtest.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "levee/cache/write_through.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/store/source_from.hpp"
#include "levee/testing/chaos_backplane.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using string_cache = read_through<std::string, std::string>;

class nodes : public ::testing::Test {
protected:
    testing::simulation world{1};
    std::shared_ptr<memory_store> shared =
        std::make_shared<memory_store>(memory_store_options{.clock = &world.clock()});
    std::shared_ptr<memory_backplane> bus = std::make_shared<memory_backplane>();
    std::shared_ptr<testing::chaos_store> far_store =
        std::make_shared<testing::chaos_store>(shared, world.scheduler());
    std::shared_ptr<testing::chaos_backplane> far_bus =
        std::make_shared<testing::chaos_backplane>(bus, world.scheduler());

    int loads = 0;
    duration load_time = 10ms;
    bool source_fails = false;
    bool is_missing = false;

    std::shared_ptr<source<std::string, std::string>> origin = source_from<std::string, std::string>(
        [this](const std::string& key) { return load(key); },
        [](const write_op<std::string, std::string>& write) -> asio::awaitable<void> {
            static_cast<void>(write);
            co_return;
        });

    asio::awaitable<std::optional<std::string>> load(std::string key) {
        const int number = ++loads;
        co_await world.scheduler()->sleep_until(world.now() + load_time);
        if (source_fails) {
            throw std::runtime_error("the source is down");
        }
        if (is_missing) {
            co_return std::nullopt;
        }
        co_return key + std::to_string(number);
    }

    cache_options<std::string, std::string> options(const entry_options& defaults = {.ttl_jitter = 0.0}) {
        return {.name = "c",
                .local = {.max_entries = 100, .clock = &world.clock(), .shards = 1},
                .executor = world.executor(),
                .defaults = defaults,
                .scheduler = world.scheduler(),
                .seed = ++seeds};
    }
    cache_options<std::string, std::string> over_store(const entry_options& defaults = {.ttl_jitter = 0.0}) {
        auto all = options(defaults);
        all.remote = far_store;
        return all;
    }
    cache_options<std::string, std::string> over_both(const entry_options& defaults = {.ttl_jitter = 0.0}) {
        auto all = over_store(defaults);
        all.backplane = far_bus;
        return all;
    }

    struct answer {
        std::optional<std::string> value{};
        std::exception_ptr failure{};
        time_point at{};
        bool has_come = false;
        [[nodiscard]] std::string text() const {
            return !has_come ? "pending" : failure != nullptr ? "failure" : value.value_or("none");
        }
    };

    std::shared_ptr<answer> ask(string_cache& from, const std::string& key = "k") {
        auto into = std::make_shared<answer>();
        from.async_get(key, asio::bind_executor(world.executor(), [this, into](std::exception_ptr failure,
                                                                               std::optional<std::string> v) {
                           *into = {std::move(v), std::move(failure), world.now(), true};
                       }));
        return into;
    }
    std::string get(string_cache& from, const std::string& key = "k") {
        const auto asked = ask(from, key);
        world.run_for(1s);
        return asked->text();
    }

private:
    std::uint64_t seeds = 0;
};

using stale_values = nodes;

TEST_F(stale_values, are_answered_at_once_while_one_load_fetches_the_next) {  // M5
    string_cache values(origin, options({.ttl = 10s, .ttl_jitter = 0.0, .stale_while_revalidate = 20s}));
    EXPECT_EQ(get(values), "k1");
    world.run_for(15s);
    const time_point before = world.now();
    std::vector<std::shared_ptr<answer>> asked;
    for (int i = 0; i < 100; ++i) {
        asked.push_back(ask(values));
    }
    world.run_for(1s);
    for (const auto& each : asked) {
        EXPECT_EQ(each->text(), "k1");
        EXPECT_EQ(each->at, before) << "nobody waited";
    }
    EXPECT_EQ(loads, 2);
    EXPECT_EQ(get(values), "k2");
    EXPECT_EQ(values.stats().stale_while_revalidate, 100U);
    world.run_for(60s);
    EXPECT_EQ(get(values), "k3") << "beyond the limit it is loaded";
}

TEST_F(stale_values, stand_in_for_a_source_that_is_down_for_a_minute) {  // no failed request
    string_cache values(origin, options({.ttl = 1s, .ttl_jitter = 0.0, .stale_if_error = 10min}));
    EXPECT_EQ(get(values), "k1");
    source_fails = true;
    for (int second = 0; second < 60; ++second) {
        EXPECT_EQ(get(values), "k1") << second;
    }
    EXPECT_LE(loads, 1 + 60 / 10 + 1) << "error_backoff: one try each 10 s";
    EXPECT_GT(values.stats().stale_in_backoff, 40U);
    source_fails = false;
    world.run_for(11s);
    EXPECT_NE(get(values), "k1");
}

TEST_F(stale_values, do_not_stand_in_beyond_their_limit) {
    string_cache values(origin, options({.ttl = 1s, .ttl_jitter = 0.0, .stale_if_error = 5s}));
    EXPECT_EQ(get(values), "k1");
    source_fails = true;
    world.run_for(3s);
    EXPECT_EQ(get(values), "k1");
    world.run_for(5s);
    EXPECT_EQ(get(values), "failure");
}

TEST_F(stale_values, answer_after_the_soft_timeout_and_the_load_goes_on) {
    string_cache values(origin, options({.ttl = 1s, .ttl_jitter = 0.0, .soft_timeout = 50ms}));
    EXPECT_EQ(get(values), "k1");
    load_time = 500ms;
    values.underlying().expire("k");
    const time_point before = world.now();
    const auto asked = ask(values);
    world.run_for(200ms);
    EXPECT_EQ(asked->text(), "k1");
    EXPECT_EQ(asked->at, before + 50ms);
    world.run_for(400ms);
    EXPECT_EQ(values.try_get("k").value_or("none"), "k2");
    EXPECT_EQ(values.stats().stale_on_timeout, 1U);
}

TEST_F(stale_values, are_gone_after_an_invalidation_and_kept_by_expire) {
    string_cache values(origin, options({.ttl = 1min, .ttl_jitter = 0.0, .stale_if_error = 1min}));
    EXPECT_EQ(get(values), "k1");
    source_fails = true;
    values.underlying().expire("k");
    EXPECT_EQ(values.lookup("k").state, entry_state::stale);
    EXPECT_EQ(get(values), "k1");
    values.invalidate("k");
    EXPECT_EQ(get(values), "failure");
}

TEST_F(stale_values, are_refreshed_ahead_without_a_pause) {
    string_cache values(
        origin, options({.ttl = 10s, .ttl_jitter = 0.0, .ahead = refresh_ahead::after_fraction(0.8)}));
    EXPECT_EQ(get(values), "k1");
    world.run_for(8s);
    EXPECT_EQ(get(values), "k1");
    EXPECT_EQ(get(values), "k2");
    EXPECT_EQ(values.stats().refreshes, 1U);
}

TEST_F(stale_values, that_slide_live_on_with_each_hit) {
    string_cache values(origin,
                        over_store({.ttl = 10s, .local_ttl = 10s, .sliding = true, .ttl_jitter = 0.0}));
    EXPECT_EQ(get(values), "k1");
    for (int i = 0; i < 10; ++i) {
        world.run_for(6s);
        EXPECT_EQ(get(values), "k1") << i;
    }
    EXPECT_GT(shared->get({"c:v1:k"}).front()->fresh_left, 5s) << "in the shared level, too";
    world.run_for(11s);
    EXPECT_EQ(get(values), "k2");
}

using negative_entries = nodes;

TEST_F(negative_entries, have_a_tenth_of_the_cache_at_most) {  // M9
    string_cache values(origin, options());
    is_missing = true;
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(get(values, std::to_string(i)), "none");
    }
    EXPECT_LE(values.estimated_size(), 10U);
    EXPECT_EQ(values.lookup("49").state, entry_state::negative);
    values.underlying().put("49", "now");
    EXPECT_EQ(values.try_get("49"), "now");
}

using shared_level = nodes;

TEST_F(shared_level, is_asked_before_the_source_and_its_life_is_not_lengthened) {  // M7
    string_cache a(origin, over_store({.ttl = 10s, .ttl_jitter = 0.0}));
    string_cache b(origin, over_store({.ttl = 10s, .local_ttl = 1h, .ttl_jitter = 0.0}));
    EXPECT_EQ(get(a), "k1");
    world.run_for(6s);
    EXPECT_EQ(get(b), "k1");
    EXPECT_EQ(loads, 1);
    world.run_for(3s);
    EXPECT_EQ(get(b), "k2") << "10 s after it was loaded, whoever holds it";
}

TEST_F(shared_level, lets_one_of_two_processes_load) {  // G4
    string_cache a(origin, over_both());
    string_cache b(origin, over_both());
    load_time = 100ms;
    std::vector<std::shared_ptr<answer>> all;
    for (int i = 0; i < 500; ++i) {
        all.push_back(ask(a));
        all.push_back(ask(b));
    }
    world.run_for(1s);
    for (const auto& each : all) {
        EXPECT_EQ(each->text(), "k1");
    }
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(a.stats().leases_won + b.stats().leases_won, 1U);
    EXPECT_EQ(a.stats().leases_waited + b.stats().leases_waited, 1U);
}

TEST_F(shared_level, keeps_the_lease_of_a_slow_loader_and_refuses_what_an_invalidation_overtook) {
    auto slow = over_both({.ttl_jitter = 0.0, .load_timeout = 1min});
    slow.remote_options.lease = 3s;
    slow.remote_options.lease_wait = 1min;
    string_cache a(origin, slow);
    slow.seed = 99;  // another cache, another number
    string_cache b(origin, slow);
    load_time = 20s;
    const auto first = ask(a);
    world.run_for(10s);
    const auto second = ask(b);  // long after the lease would have ended
    world.run_for(30s);
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(second->text(), "k1");

    b.invalidate("k");
    const auto third = ask(a);
    world.run_for(5s);
    b.invalidate("k");
    world.run_for(40s);
    EXPECT_EQ(third->text(), "k2") << "who asked before gets what he waited for";
    EXPECT_EQ(a.stats().fills_refused, 1U);
    EXPECT_FALSE(a.try_get("k"));
    EXPECT_FALSE(shared->get({"c:v1:k"}).front());
}

TEST_F(shared_level, that_is_down_fails_no_request_and_holds_back_the_loads) {
    auto capped = over_both({.ttl_jitter = 0.0});
    capped.remote_options.max_concurrent_loads = 4;
    string_cache values(origin, capped);
    far_store->set_link(testing::chaos_link::is_silent);
    std::vector<std::shared_ptr<answer>> all;
    for (int i = 0; i < 40; ++i) {
        all.push_back(ask(values, std::to_string(i)));
    }
    world.run_for(2s);
    for (const auto& each : all) {
        EXPECT_TRUE(each->value) << each->text();
    }
    EXPECT_EQ(values.stats().unleased_loads, 40U);
    EXPECT_EQ(values.stats().loads_held_up, 36U);
    EXPECT_EQ(values.stats().breaker, circuit_state::open);
    const auto refused = values.stats().remote_refused;
    EXPECT_EQ(get(values, "another").substr(0, 7), "another");
    EXPECT_GT(values.stats().remote_refused, refused) << "the breaker keeps the time-outs away";

    far_store->set_link(testing::chaos_link::works);
    world.run_for(10s);
    EXPECT_EQ(get(values, "later").substr(0, 5), "later");
    EXPECT_EQ(values.stats().breaker, circuit_state::closed);
    EXPECT_TRUE(shared->get({"c:v1:later"}).front());
}

TEST_F(shared_level, with_foreign_bytes_is_a_miss) {
    string_cache values(origin, over_store());
    shared->put("c:v1:k", {.fresh_left = 1h, .stale_left = 1h, .stamp = 99});
    EXPECT_EQ(get(values), "") << "an empty string is a string";
    cache<int, int> numbers({.name = "n",
                             .local = {.max_entries = 10, .clock = &world.clock()},
                             .remote = shared,
                             .executor = world.executor(),
                             .scheduler = world.scheduler()});
    shared->put("n:v1:1", {.fresh_left = 1h, .stale_left = 1h, .stamp = 99});
    EXPECT_FALSE(numbers.get(1));
    EXPECT_EQ(numbers.stats().remote_foreign, 1U);
}

TEST_F(shared_level, does_not_take_what_is_too_long_for_it) {
    auto small = over_store();
    small.remote_options.max_value_bytes = 4;
    string_cache values(origin, small);
    EXPECT_EQ(values.underlying().put("k", "far too long"), reach::acknowledged);
    EXPECT_EQ(values.try_get("k"), "far too long");
    EXPECT_FALSE(shared->get({"c:v1:k"}).front());
    const std::string key(600, 'x');
    EXPECT_EQ(get(values, key), key + "1") << "in L1 only";
    EXPECT_EQ(values.stats().remote_oversized, 2U);
}

TEST_F(shared_level, is_told_later_what_it_did_not_confirm) {
    string_cache values(origin, over_both());
    EXPECT_EQ(get(values), "k1");
    far_store->set_link(testing::chaos_link::refuses);
    std::optional<reach> reached;
    values.async_invalidate(
        "k", asio::bind_executor(world.executor(), [&](std::exception_ptr, reach how) { reached = how; }));
    world.run_for(1s);
    EXPECT_EQ(reached, reach::queued);
    EXPECT_EQ(values.stats().queued, 1U);
    far_store->set_link(testing::chaos_link::works);
    EXPECT_EQ(get(values), "k2") << "the old value is there, and not read";
    world.run_for(20s);
    EXPECT_EQ(values.stats().queued, 0U);
    EXPECT_FALSE(shared->get({"c:v1:k"}).front());
}

using peers = nodes;

TEST_F(peers, hear_of_changes_and_trust_nothing_when_the_link_is_silent) {  // M3, G3
    string_cache a(origin, over_both({.ttl = 1h, .ttl_jitter = 0.0}));
    auto near = over_store({.ttl = 1h, .ttl_jitter = 0.0});
    near.backplane = bus;
    string_cache b(origin, near);
    EXPECT_EQ(get(a), "k1");
    b.invalidate("k");
    EXPECT_FALSE(a.try_get("k")) << "heard";
    EXPECT_EQ(get(a), "k2");

    far_bus->set_link(testing::chaos_link::is_silent);
    b.invalidate("k");
    EXPECT_EQ(a.try_get("k"), "k2") << "within the bound";
    world.run_for(5s + 1ms);  // ping interval and timeout
    EXPECT_FALSE(a.try_get("k"));
    EXPECT_EQ(get(a), "k3");
    EXPECT_GT(a.stats().suspects, 0U);

    far_bus->set_link(testing::chaos_link::works);
    EXPECT_EQ(a.stats().gaps, 1U);
    EXPECT_FALSE(a.try_get("k")) << "a gap: it may have changed";
    EXPECT_EQ(get(a), "k3");
    EXPECT_EQ(a.try_get("k"), "k3") << "asked about once";
    EXPECT_EQ(loads, 3);
}

TEST_F(peers, answer_suspect_values_for_a_while_when_the_shared_level_is_gone_too) {
    auto near = over_both({.ttl = 1h, .ttl_jitter = 0.0});
    near.remote_options.suspect_grace = 10s;
    string_cache a(origin, near);
    EXPECT_EQ(get(a), "k1");
    far_bus->set_link(testing::chaos_link::is_silent);
    far_store->set_link(testing::chaos_link::is_silent);
    world.run_for(6s);
    EXPECT_EQ(get(a), "k1");
    EXPECT_EQ(a.stats().suspects_served, 1U);
    world.run_for(10s);
    EXPECT_EQ(get(a), "k2") << "the source is asked once the grace is over";
}

TEST_F(peers, give_what_was_made_to_expire_no_grace_when_the_shared_level_is_gone) {  // G1
    string_cache a(origin, over_both({.ttl = 1h, .ttl_jitter = 0.0, .stale_if_error = 1h}));
    EXPECT_EQ(get(a), "k1");
    far_bus->set_link(testing::chaos_link::is_silent);
    far_store->set_link(testing::chaos_link::is_silent);
    world.run_for(6s);
    EXPECT_EQ(get(a), "k1") << "suspect, and nobody can be asked about it";
    a.underlying().async_expire("k", asio::bind_executor(world.executor(), [](std::exception_ptr, reach) {}));
    world.run_for(1s);
    EXPECT_EQ(get(a), "k2") << "known to be out of date, and the source answers";
}

TEST_F(peers, share_tags_prefixes_and_clear) {  // M8
    string_cache a(origin, over_both({.ttl_jitter = 0.0, .tags = {"t"}}));
    string_cache b(origin, over_both({.ttl_jitter = 0.0}));
    for (const std::string key : {"user:1", "users:1", "{x}\0\xff"}) {
        get(a, key);
        get(b, key);
    }
    a.underlying().invalidate_prefix("user");
    EXPECT_FALSE(b.try_get("user:1"));
    EXPECT_TRUE(b.try_get("users:1"));
    b.underlying().invalidate_tag("t");
    EXPECT_FALSE(a.try_get("users:1"));
    EXPECT_FALSE(b.try_get("users:1")) << "the tag came with the entry";
    get(a, "users:1");
    get(b, "users:1");
    EXPECT_TRUE(a.try_get("users:1"));
    a.clear();
    EXPECT_FALSE(a.try_get("users:1"));
    EXPECT_FALSE(b.try_get("users:1"));
}

TEST_F(peers, that_put_in_opposite_orders_converge) {  // M12
    string_cache a(origin, over_both());
    string_cache b(origin, over_both());
    a.underlying().put("k", "a");
    b.underlying().put("k", "b");
    EXPECT_EQ(get(a), "b");
    EXPECT_EQ(get(b), "b");
    EXPECT_TRUE(a.underlying().put_if_newer("k", "newer", 5));
    EXPECT_FALSE(b.underlying().put_if_newer("k", "older", 4));
    EXPECT_EQ(get(a), "newer");
    EXPECT_EQ(get(b), "newer");
}

}  // namespace
}  // namespace levee
