// Many keys at once over two levels, in virtual time: one call of the source for all that is missing, one
// question to the shared level, each key loaded once between callers and processes (M10).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bulk_support.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::strings;
using tests::text_of;
using tests::values;

/// In virtual time: two caches over one shared level and its peers, each with its own way to it.
class nodes_in_bulk : public ::testing::Test {
protected:
    using through = read_through<std::string, std::string>;

    struct slow_source final : source<std::string, std::string> {
        explicit slow_source(testing::simulation& in) : world(in) {}

        asio::awaitable<std::vector<loaded<std::string>>> async_load(
            std::vector<load_request<std::string, std::string>> requests) override {
            const int number = ++calls;
            strings keys;
            for (const auto& each : requests) {
                keys.push_back(each.key + (each.stale != nullptr ? "~" : ""));
            }
            std::sort(keys.begin(), keys.end());  // they come in the order in which they got their leases
            asked.push_back(text_of(keys));
            co_await world.scheduler()->sleep_until(world.now() + load_time);
            std::vector<loaded<std::string>> all;
            for (const auto& each : requests) {
                all.push_back(each.key == "none"
                                  ? loaded<std::string>::missing()
                                  : loaded<std::string>::found(each.key + std::to_string(number)));
            }
            ++ended;
            co_return all;
        }

        testing::simulation& world;
        duration load_time = 10ms;
        int calls = 0;
        int ended = 0;
        strings asked{};
    };

    struct node {
        std::shared_ptr<testing::chaos_store> store;
        std::shared_ptr<through> values;
    };

    node make(const entry_options& defaults = {.ttl_jitter = 0.0}) {
        node made;
        made.store = std::make_shared<testing::chaos_store>(shared, world.scheduler());
        cache_options<std::string, std::string> options{
            .name = "c",
            .local = {.max_entries = 100, .clock = &world.clock(), .shards = 1},
            .remote = made.store,
            .backplane = bus,
            .executor = world.executor(),
            .defaults = defaults,
            .scheduler = world.scheduler(),
            .seed = ++seeds};
        made.values = std::make_shared<through>(origin, std::move(options));
        return made;
    }

    struct answer {
        std::exception_ptr failure{};
        values all{};
        time_point at{};
        bool has_come = false;
        [[nodiscard]] std::string text() const {
            return !has_come ? "pending" : failure != nullptr ? "failure" : text_of(all);
        }
    };
    auto into(const std::shared_ptr<answer>& to) {
        return asio::bind_executor(world.executor(), [this, to](std::exception_ptr why, values all) {
            *to = {std::move(why), std::move(all), world.now(), true};
        });
    }
    std::shared_ptr<answer> ask(node& from, strings keys) {
        auto asked = std::make_shared<answer>();
        from.values->async_get_many(std::move(keys), into(asked));
        return asked;
    }
    std::string get(node& from, strings keys) {
        const auto asked = ask(from, std::move(keys));
        world.run_for(1s);
        return asked->text();
    }
    std::string get_one(node& from, const std::string& key) {
        std::string seen = "pending";
        from.values->async_get(key, asio::bind_executor(world.executor(), [&](std::exception_ptr why,
                                                                              std::optional<std::string> v) {
                                   seen = why != nullptr ? "failure" : v.value_or("-");
                               }));
        world.run_for(1s);
        return seen;
    }
    void invalidate(node& at, const std::string& key) {
        at.values->async_invalidate(key,
                                    asio::bind_executor(world.executor(), [](std::exception_ptr, reach) {}));
    }

    testing::simulation world{1};
    std::shared_ptr<memory_store> shared =
        std::make_shared<memory_store>(memory_store_options{.clock = &world.clock()});
    std::shared_ptr<memory_backplane> bus = std::make_shared<memory_backplane>();
    std::shared_ptr<slow_source> origin = std::make_shared<slow_source>(world);

private:
    std::uint64_t seeds = 0;
};

TEST_F(nodes_in_bulk, load_all_that_is_missing_with_one_call_of_the_source) {
    node a = make();
    EXPECT_EQ(get(a, {"x", "none", "y", "x"}), "x1 - y1 x1");
    EXPECT_EQ(text_of(origin->asked), "none x y");
    EXPECT_EQ(get(a, {"y", "none", "x"}), "y1 - x1") << "L1 knows";
    EXPECT_EQ(origin->calls, 1);
}

TEST_F(nodes_in_bulk, ask_the_shared_level_once_for_all_that_it_has) {
    node a = make();
    strings keys;
    std::string expected;
    for (int i = 0; i < 50; ++i) {
        keys.push_back("k" + std::to_string(i));
        expected += (i == 0 ? "" : " ") + keys.back() + "1";
    }
    keys.push_back("none");
    expected += " -";
    EXPECT_EQ(get(a, keys), expected);
    node b = make();
    EXPECT_EQ(get_one(b, "k0"), "k01") << "and the marks are read";
    const auto calls = b.store->counts().calls;
    EXPECT_EQ(get(b, keys), expected) << "negative ones, too";
    EXPECT_EQ(b.store->counts().calls, calls + 1);
    EXPECT_EQ(origin->calls, 1);
    EXPECT_EQ(get(b, keys), expected) << "L1 has it all now";
    EXPECT_EQ(b.store->counts().calls, calls + 1);
}

TEST_F(nodes_in_bulk, get_without_loading_from_both_levels) {
    node a = make();
    EXPECT_EQ(get(a, {"x", "y"}), "x1 y1");
    node b = make();
    const auto asked = std::make_shared<answer>();
    b.values->underlying().async_get_many({"y", "z", "x", "y"}, into(asked));
    world.run_for(1s);
    EXPECT_EQ(asked->text(), "y1 - x1 y1");
    EXPECT_EQ(b.store->counts().calls, 2U) << "the marks, and all keys at once";
    EXPECT_EQ(origin->calls, 1);
}

TEST_F(nodes_in_bulk, join_the_loads_of_single_callers_and_are_joined_by_them) {  // G4
    node a = make();
    std::string single;
    a.values->async_get(
        "x", asio::bind_executor(world.executor(), [&](std::exception_ptr, std::optional<std::string> v) {
            single = v.value_or("-");
        }));
    world.run_for(5ms);
    const auto bulk = ask(a, {"x", "y"});
    world.run_for(2ms);
    std::string late;
    a.values->async_get(
        "y", asio::bind_executor(world.executor(), [&](std::exception_ptr, std::optional<std::string> v) {
            late = v.value_or("-");
        }));
    world.run_for(1s);
    EXPECT_EQ(single, "x1");
    EXPECT_EQ(bulk->text(), "x1 y2");
    EXPECT_EQ(late, "y2");
    EXPECT_EQ(origin->asked, (strings{"x", "y"})) << "each key was loaded once";
}

TEST_F(nodes_in_bulk, of_two_processes_load_each_key_once_between_them) {  // G4 across processes
    node a = make();
    node b = make();
    origin->load_time = 100ms;
    const auto first = ask(a, {"x", "y"});
    world.run_for(20ms);
    const auto second = ask(b, {"y", "z", "w"});
    world.run_for(120ms);
    EXPECT_EQ(first->text(), "x1 y1");
    EXPECT_EQ(second->text(), "y1 z2 w2");
    EXPECT_EQ(origin->asked, (strings{"x y", "w z"}));
    EXPECT_LE(second->at - first->at, 60ms) << "what was free did not wait for what was not";
}

TEST_F(nodes_in_bulk, load_what_the_other_process_gave_up) {
    node a = make();
    node b = make();
    origin->load_time = 100ms;
    {
        const auto doomed = ask(a, {"x"});
        world.run_for(20ms);
        const auto second = ask(b, {"x", "y"});
        world.run_for(20ms);
        a.store->set_link(testing::chaos_link::refuses);  // its lease ends with nobody to extend it
        world.run_for(30s);
        EXPECT_EQ(doomed->text(), "x1") << "for its own waiters";
        EXPECT_EQ(second->text(), "x3 y2");
    }
    EXPECT_EQ(origin->asked, (strings{"x", "y", "x"}));
}

TEST_F(nodes_in_bulk, keep_out_the_one_key_that_was_invalidated_while_they_loaded) {  // G1, G2
    node a = make();
    node b = make();
    const auto bulk = ask(a, {"x", "y", "z"});
    world.run_for(5ms);
    invalidate(b, "y");
    world.run_for(1s);
    EXPECT_EQ(bulk->text(), "x1 y1 z1") << "who asked before gets what he waited for";
    EXPECT_EQ(a.values->try_get("x"), "x1");
    EXPECT_EQ(a.values->try_get("y"), std::nullopt);
    EXPECT_EQ(get(b, {"x", "y", "z"}), "x1 y2 z1");
    EXPECT_EQ(a.values->stats().fills_refused, 1U);
}

TEST_F(nodes_in_bulk, called_after_an_invalidation_do_not_join_the_load_it_overtook) {  // G1
    node a = make();
    const auto before = ask(a, {"x", "y"});
    world.run_for(5ms);
    invalidate(a, "y");
    world.run_for(1ms);
    const auto after = ask(a, {"x", "y"});
    world.run_for(1s);
    EXPECT_EQ(before->text(), "x1 y1");
    EXPECT_EQ(after->text(), "x1 y2");
    EXPECT_EQ(a.values->try_get("y"), "y2");
}

TEST_F(nodes_in_bulk, answer_stale_values_at_once_and_load_them_with_the_missing_ones) {  // M5
    node a = make({.ttl = 10s, .ttl_jitter = 0.0, .stale_while_revalidate = 20s});
    EXPECT_EQ(get(a, {"x", "y"}), "x1 y1");
    world.run_for(15s);
    const time_point before = world.now();
    const auto stale = ask(a, {"x", "y"});
    world.run_for(1s);
    EXPECT_EQ(stale->text(), "x1 y1");
    EXPECT_EQ(stale->at, before) << "nobody waited";
    EXPECT_EQ(text_of(strings{origin->asked.back()}), "x~ y~") << "with what is held, in one call";
    EXPECT_EQ(get(a, {"x", "y"}), "x2 y2");
    world.run_for(15s);
    EXPECT_EQ(get(a, {"x", "z"}), "x2 z3") << "the stale one did not wait for the missing one's value";
    EXPECT_EQ(origin->asked.back(), "x~ z");
    EXPECT_EQ(get(a, {"x", "z"}), "x3 z3");
}

TEST_F(nodes_in_bulk, go_on_without_the_shared_level_with_one_place_at_the_gate) {
    node a = make();
    a.store->set_link(testing::chaos_link::refuses);
    EXPECT_EQ(get(a, {"x", "y"}), "x1 y1");
    EXPECT_EQ(origin->calls, 1);
    EXPECT_EQ(a.values->stats().unleased_loads, 2U);
    node narrow;
    narrow.store = std::make_shared<testing::chaos_store>(shared, world.scheduler());
    narrow.store->set_link(testing::chaos_link::refuses);
    narrow.values = std::make_shared<through>(
        origin, cache_options<std::string, std::string>{
                    .name = "c",
                    .local = {.max_entries = 100, .clock = &world.clock(), .shards = 1},
                    .remote = narrow.store,
                    .remote_options = {.max_concurrent_loads = 1},
                    .executor = world.executor(),
                    .scheduler = world.scheduler(),
                    .seed = 77});
    const auto first = ask(narrow, {"x", "y", "z"});
    const auto second = ask(narrow, {"u", "v"});
    world.run_for(1s);
    const auto answers = std::pair(first->text(), second->text());  // who came first is the seed's choice
    EXPECT_TRUE(answers == std::pair(std::string("x2 y2 z2"), std::string("u3 v3")) ||
                answers == std::pair(std::string("x3 y3 z3"), std::string("u2 v2")))
        << answers.first << ", " << answers.second;
    EXPECT_EQ(narrow.values->stats().loads_held_up, 1U);
}

TEST_F(nodes_in_bulk, stop_their_load_when_nobody_waits_for_any_of_its_keys) {
    node a = make();
    origin->load_time = 10s;
    asio::cancellation_signal stop;
    const auto bulk = std::make_shared<answer>();
    a.values->async_get_many({"x", "y"}, asio::bind_cancellation_slot(stop.slot(), into(bulk)));
    world.run_for(1s);
    const auto other = ask(a, {"y"});
    world.run_for(1s);
    stop.emit(asio::cancellation_type::terminal);
    world.run_for(1s);
    EXPECT_EQ(bulk->text(), "failure");
    EXPECT_EQ(other->text(), "pending") << "the load goes on for him";
    world.run_for(10s);
    EXPECT_EQ(other->text(), "y1");
    const auto alone = std::make_shared<answer>();
    a.values->async_get_many({"u", "v"}, asio::bind_cancellation_slot(stop.slot(), into(alone)));
    world.run_for(1s);
    stop.emit(asio::cancellation_type::terminal);
    world.run_for(20s);
    EXPECT_EQ(alone->text(), "failure");
    EXPECT_EQ(origin->calls, 2);
    EXPECT_EQ(origin->ended, 1) << "it was cancelled";
}

TEST_F(nodes_in_bulk, load_nothing_when_they_are_cancelled_while_the_shared_level_is_asked) {
    node a = make();
    EXPECT_EQ(get(a, {"w"}), "w1");
    a.store->set_link(testing::chaos_link::is_silent);
    asio::cancellation_signal stop;
    const auto bulk = std::make_shared<answer>();
    a.values->async_get_many({"x", "y"}, asio::bind_cancellation_slot(stop.slot(), into(bulk)));
    world.run_for(1ms);
    stop.emit(asio::cancellation_type::terminal);
    a.store->set_link(testing::chaos_link::works);
    world.run_for(10s);
    EXPECT_EQ(bulk->text(), "failure");
    EXPECT_EQ(origin->calls, 1) << "nobody waited for more";
}

TEST_F(nodes_in_bulk, end_by_the_load_timeout) {
    node a = make({.ttl_jitter = 0.0, .load_timeout = 2s});
    origin->load_time = 1h;
    const auto bulk = ask(a, {"x", "y"});
    const time_point before = world.now();
    world.run_for(10s);
    EXPECT_EQ(bulk->text(), "failure");
    EXPECT_EQ(bulk->at - before, 2s);
}

TEST_F(nodes_in_bulk, get_closed_when_their_cache_is_destroyed) {
    node a = make();
    origin->load_time = 1h;
    const auto bulk = ask(a, {"x", "y"});
    world.run_for(1s);
    a.values.reset();
    world.run_for(1s);
    EXPECT_EQ(bulk->text(), "failure");
}

}  // namespace
}  // namespace levee
