// Invalidations collected and committed together (M11), and the asynchronous look-up.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "levee/cache/cache.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using string_cache = cache<std::string, std::string>;

const auto again = [](const std::string&) { return std::string("new"); };

TEST(deferred_invalidations, change_nothing_before_they_are_committed) {
    string_cache values{{.local = {.max_entries = 100}}};
    values.put("a", "old");
    values.put("b", "old");
    auto changes = values.defer();
    EXPECT_TRUE(changes.empty());
    changes.invalidate("a");
    changes.invalidate("a");
    EXPECT_FALSE(changes.empty());
    EXPECT_EQ(values.get("a"), "old");
    EXPECT_EQ(changes.commit(), reach::acknowledged);
    EXPECT_EQ(values.get("a"), std::nullopt);
    EXPECT_EQ(values.get("b"), "old");
    EXPECT_TRUE(changes.empty());
    values.put("a", "newer");
    EXPECT_EQ(changes.commit(), reach::acknowledged);
    EXPECT_EQ(values.get("a"), "newer") << "an empty list changes nothing";
}

TEST(deferred_invalidations, that_are_destroyed_or_dropped_are_forgotten) {
    string_cache values{{.local = {.max_entries = 100}}};
    values.put("a", "old");
    {
        auto changes = values.defer();
        changes.invalidate("a");
        auto moved = std::move(changes);
        changes = values.defer();
        changes.invalidate("a");
        changes.drop();
        EXPECT_TRUE(changes.empty());
    }
    EXPECT_EQ(values.get("a"), "old");
}

TEST(deferred_invalidations, drop_what_was_loaded_before_the_commit) {  // G1
    string_cache values{{.local = {.max_entries = 100}}};
    auto changes = values.defer();
    changes.invalidate("a");
    const auto committing = [&](const std::string&) {
        changes.commit();
        return std::string("old");
    };
    EXPECT_EQ(values.get_or_load("a", committing), "old");
    EXPECT_EQ(values.get_or_load("a", again), "new");
}

TEST(deferred_invalidations, reach_tags_prefixes_and_reserves) {
    string_cache values{
        {.local = {.max_entries = 100}, .defaults = {.ttl_jitter = 0.0, .stale_if_error = 10min}}};
    values.put("tagged", "old", {.tags = {"t"}});
    values.put("group:1", "old");
    values.put("expired", "old");
    values.put("dropped", "old");
    values.put("other", "old");
    auto changes = values.defer();
    changes.invalidate_tag("t");
    changes.invalidate_prefix("group");
    changes.expire("expired");
    changes.expire("dropped");
    changes.invalidate("dropped");
    changes.expire("dropped");
    EXPECT_EQ(changes.commit(), reach::acknowledged);
    EXPECT_EQ(values.lookup("tagged").state, entry_state::miss);
    EXPECT_EQ(values.lookup("group:1").state, entry_state::miss);
    EXPECT_EQ(values.lookup("expired").state, entry_state::stale) << "the reserve for errors stays";
    EXPECT_EQ(values.lookup("dropped").state, entry_state::miss) << "to drop is more than to expire";
    EXPECT_EQ(values.get("other"), "old");
}

/// Two caches over one shared level, in virtual time.
struct deferring_nodes : ::testing::Test {
    testing::simulation world{1};
    std::shared_ptr<memory_store> shared =
        std::make_shared<memory_store>(memory_store_options{.clock = &world.clock()});
    std::shared_ptr<memory_backplane> bus = std::make_shared<memory_backplane>();
    std::shared_ptr<testing::chaos_store> far_store =
        std::make_shared<testing::chaos_store>(shared, world.scheduler());
    std::unique_ptr<string_cache> here = make(far_store, 1);
    std::unique_ptr<string_cache> there = make(shared, 2);

    std::unique_ptr<string_cache> make(const std::shared_ptr<remote_store>& over, std::uint64_t seed) {
        return std::make_unique<string_cache>(cache_options<std::string, std::string>{
            .name = "c",
            .local = {.max_entries = 100, .clock = &world.clock(), .shards = 1},
            .remote = over,
            .backplane = bus,
            .executor = world.executor(),
            .defaults = {.ttl_jitter = 0.0},
            .scheduler = world.scheduler(),
            .seed = seed});
    }
    reach put(string_cache& at, const std::string& key, const entry_options& lives = {.ttl_jitter = 0.0}) {
        std::optional<reach> seen;
        at.async_put(
            key, "old", lives,
            asio::bind_executor(world.executor(), [&](std::exception_ptr, reach how) { seen = how; }));
        world.run_for(1s);
        return seen.value();
    }
    reach commit(deferred_invalidations<std::string, std::string>& changes) {
        std::optional<reach> seen;
        changes.async_commit(
            asio::bind_executor(world.executor(), [&](std::exception_ptr, reach how) { seen = how; }));
        world.run_for(1s);
        return seen.value();
    }
    lookup_result<std::string> look(string_cache& at, const std::string& key) {
        std::optional<lookup_result<std::string>> seen;
        at.async_lookup(key, asio::bind_executor(world.executor(),
                                                 [&](std::exception_ptr, lookup_result<std::string> found) {
                                                     seen = std::move(found);
                                                 }));
        world.run_for(1s);
        return seen.value();
    }
};

TEST_F(deferring_nodes, drop_many_keys_of_the_shared_level_with_one_command) {
    auto changes = here->defer();
    for (int i = 0; i < 20; ++i) {
        put(*here, "k" + std::to_string(i));
        EXPECT_EQ(look(*there, "k" + std::to_string(i)).level, cache_level::remote);
        changes.invalidate("k" + std::to_string(i));
    }
    const auto calls = far_store->counts().calls;
    EXPECT_EQ(commit(changes), reach::acknowledged);
    EXPECT_EQ(far_store->counts().calls, calls + 1);
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(look(*here, "k" + std::to_string(i)).state, entry_state::miss);
        EXPECT_EQ(look(*there, "k" + std::to_string(i)).state, entry_state::miss) << "the peers were told";
    }
}

TEST_F(deferring_nodes, that_cannot_reach_the_shared_level_are_told_later) {
    put(*here, "a");
    put(*here, "b", {.ttl_jitter = 0.0, .tags = {"t"}});
    EXPECT_EQ(look(*there, "a").value, "old");
    EXPECT_EQ(look(*there, "b").value, "old");
    auto changes = here->defer();
    changes.invalidate("a");
    changes.invalidate_tag("t");
    far_store->set_link(testing::chaos_link::refuses);
    EXPECT_EQ(commit(changes), reach::queued);
    EXPECT_EQ(here->try_get("a"), std::nullopt);
    EXPECT_EQ(here->try_get("b"), std::nullopt);
    far_store->set_link(testing::chaos_link::works);
    world.run_for(60s);
    EXPECT_EQ(here->stats().queued, 0U);
    EXPECT_EQ(look(*there, "a").state, entry_state::miss);
    EXPECT_EQ(look(*there, "b").state, entry_state::miss);
}

TEST_F(deferring_nodes, are_committed_whole_although_the_caller_is_cancelled) {  // G1, M11
    put(*here, "a");
    put(*here, "b");
    put(*here, "c", {.ttl_jitter = 0.0, .tags = {"t"}});
    for (const char* key : {"a", "b", "c"}) {
        EXPECT_EQ(look(*there, key).value, "old");
    }
    auto changes = here->defer();
    changes.invalidate("a");
    changes.expire("b");
    changes.invalidate_tag("t");
    far_store->set_link(testing::chaos_link::is_silent);
    asio::cancellation_signal stop;
    changes.async_commit(asio::bind_cancellation_slot(
        stop.slot(), asio::bind_executor(world.executor(), [](std::exception_ptr, reach) {})));
    world.run_for(1ms);
    stop.emit(asio::cancellation_type::terminal);
    world.run_for(5s);
    for (const char* key : {"a", "b", "c"}) {
        EXPECT_EQ(here->try_get(key), std::nullopt) << key;
    }
    far_store->set_link(testing::chaos_link::works);
    world.run_for(60s);
    EXPECT_EQ(here->stats().queued, 0U);
    EXPECT_EQ(look(*there, "a").state, entry_state::miss);
    EXPECT_NE(look(*there, "b").state, entry_state::fresh);
    EXPECT_EQ(look(*there, "c").state, entry_state::miss);
}

TEST_F(deferring_nodes, look_up_asynchronously_in_both_levels) {
    put(*here, "a");
    const auto local = look(*here, "a");
    EXPECT_EQ(local.state, entry_state::fresh);
    EXPECT_EQ(local.level, cache_level::local);
    const auto remote = look(*there, "a");
    EXPECT_EQ(remote.state, entry_state::fresh);
    EXPECT_EQ(remote.level, cache_level::remote);
    EXPECT_EQ(remote.value, "old");
    EXPECT_EQ(look(*there, "a").level, cache_level::local) << "L1 has it from now on";
    EXPECT_EQ(look(*there, "?").state, entry_state::miss);
}

}  // namespace
}  // namespace levee
