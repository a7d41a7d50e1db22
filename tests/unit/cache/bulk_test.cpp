// Many keys at once: mixed hits, misses, negative, stale and repeated keys with one call of the loader and
// one question to the shared level (M10).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/chaos_store.hpp"
#include "levee/testing/simulation.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;
using string_cache = cache<std::string, std::string>;
using values = std::vector<std::optional<std::string>>;

/// What was got, as text: "a1 - b1", where - is nothing.
std::string text_of(const values& all) {
    std::string text;
    for (const auto& each : all) {
        text += (text.empty() ? "" : " ") + each.value_or("-");
    }
    return text;
}

std::string text_of(const strings& all) {
    std::string text;
    for (const auto& each : all) {
        text += (text.empty() ? "" : " ") + each;
    }
    return text;
}

class blocking_bulk : public ::testing::Test {
protected:
    string_cache plain{{.local = {.max_entries = 100}}};
    std::vector<strings> asked;

    values load(const strings& keys) {
        asked.push_back(keys);
        values all;
        for (const auto& key : keys) {
            all.push_back(key == "none" ? std::nullopt : std::optional(key + std::to_string(asked.size())));
        }
        return all;
    }
    std::string get(const strings& keys) {
        return text_of(
            plain.get_or_load_many(keys, [this](const strings& missing) { return load(missing); }));
    }
};

TEST_F(blocking_bulk, loads_what_is_missing_with_one_call_and_answers_in_the_keys_order) {
    plain.put("held", "x");
    EXPECT_EQ(get({"b", "held", "none", "a", "b", "held"}), "b1 x - a1 b1 x");
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(text_of(asked[0]), "b none a") << "each once";
    EXPECT_EQ(get({"a", "none", "c"}), "a1 - c2");
    EXPECT_EQ(text_of(asked[1]), "c") << "what was loaded, and what does not exist, is known";
    EXPECT_EQ(plain.stats().loads, 4U);
}

TEST_F(blocking_bulk, of_nothing_and_of_hits_alone_calls_no_loader) {
    EXPECT_EQ(get({}), "");
    plain.put("a", "x");
    EXPECT_EQ(get({"a", "a"}), "x x");
    EXPECT_TRUE(asked.empty());
}

TEST_F(blocking_bulk, gets_without_loading) {
    plain.put("a", "x");
    EXPECT_EQ(text_of(plain.get_many({"b", "a", "b", "a"})), "- x - x");
    EXPECT_EQ(text_of(plain.get_many({})), "");
}

TEST_F(blocking_bulk, throws_the_first_keys_failure_and_keeps_the_others) {
    const auto loader = [](const strings& keys) {
        std::vector<loaded<std::string>> all;
        for (const auto& key : keys) {
            all.push_back(key.front() == '!'
                              ? loaded<std::string>::failure(std::make_exception_ptr(std::runtime_error(key)))
                              : loaded<std::string>::found(key));
        }
        return all;
    };
    try {
        static_cast<void>(plain.get_or_load_many({"a", "!b", "!c", "d"}, loader));
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "!b");
    }
    EXPECT_EQ(text_of(plain.get_many({"a", "!b", "!c", "d"})), "a - - d");
}

TEST_F(blocking_bulk, fails_as_a_whole_when_the_loader_throws_or_answers_for_other_keys) {
    const auto throwing = [](const strings&) -> strings { throw std::runtime_error("no database"); };
    EXPECT_THROW(static_cast<void>(plain.get_or_load_many({"a", "b"}, throwing)), std::runtime_error);
    const auto short_of_one = [](const strings&) { return strings{"x"}; };
    try {
        static_cast<void>(plain.get_or_load_many({"a", "b"}, short_of_one));
        FAIL() << "nothing was thrown";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::invalid_data);
    }
    EXPECT_EQ(get({"a", "b"}), "a1 b1") << "nothing was kept of it";
}

TEST_F(blocking_bulk, whose_loader_asks_for_a_key_of_its_own_is_refused) {
    std::optional<std::error_code> seen;
    const auto recursive = [&](const strings& keys) {
        try {
            static_cast<void>(plain.get_or_load("b", [](const std::string& key) { return key; }));
        } catch (const error& e) {
            seen = e.code();
        }
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b"}, recursive)), "a b");
    EXPECT_EQ(seen, errc::recursive_load);
}

TEST_F(blocking_bulk, whose_loader_asks_for_other_keys_in_bulk_is_served) {
    const auto outer = [&](const strings& keys) {
        static_cast<void>(plain.get_or_load_many({"x", "y"}, [](const strings& inner) { return inner; }));
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b"}, outer)), "a b");
    EXPECT_EQ(text_of(plain.get_many({"x", "y"})), "x y");
}

TEST_F(blocking_bulk, keeps_out_what_was_invalidated_while_it_loaded_and_that_key_alone) {  // G1
    const auto invalidating = [&](const strings& keys) {
        plain.invalidate("b");
        return keys;
    };
    EXPECT_EQ(text_of(plain.get_or_load_many({"a", "b", "c"}, invalidating)), "a b c");
    EXPECT_EQ(text_of(plain.get_many({"a", "b", "c"})), "a - c");
}

TEST_F(blocking_bulk, looks_and_loads_again_what_was_expired_by_another_call) {
    EXPECT_EQ(get({"a", "b"}), "a1 b1");
    plain.expire("a");
    EXPECT_EQ(get({"a", "b"}), "a2 b1");
}

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

/// Threads and executors as programs have them.
struct bulk_callers : ::testing::Test {
    runtime threads{2};
    string_cache texts{{.local = {.max_entries = 1000},
                        .executor = threads.get_executor(),
                        .blocking_executor = threads.blocking_executor()}};
    std::atomic<int> calls = 0;
};

TEST_F(bulk_callers, of_all_kinds_get_what_any_kind_of_loader_brings) {
    const auto plain = [&](const strings& keys) {
        ++calls;
        return keys;
    };
    const auto coroutine = [&](strings keys) -> asio::awaitable<strings> {
        ++calls;
        co_return keys;
    };
    EXPECT_EQ(text_of(texts.get_or_load_many({"a", "b"}, plain)), "a b");
    EXPECT_EQ(text_of(texts.get_or_load_many({"a", "b", "c", "d"}, coroutine)), "a b c d");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"e", "a", "f"}, plain, asio::use_future).get()), "e a f");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"g", "h"}, coroutine, asio::use_future).get()), "g h");
    EXPECT_EQ(text_of(texts.async_get_or_load_many({"a", "h"}, coroutine, asio::use_future).get()), "a h");
    EXPECT_EQ(text_of(texts.async_get_many({"g", "?", "a"}, asio::use_future).get()), "g - a");
    EXPECT_EQ(calls, 4);
    const auto in_coroutine = [&]() -> asio::awaitable<std::string> {
        const strings keys{std::string(100, 'x'), std::string(100, 'y')};
        auto all = co_await texts.async_get_or_load_many(keys, coroutine, asio::use_awaitable);
        auto again = co_await texts.async_get_many(keys, asio::use_awaitable);
        co_return text_of(all) == text_of(again) ? "same" : "different";
    };
    EXPECT_EQ(asio::co_spawn(threads.get_executor(), in_coroutine, asio::use_future).get(), "same");
}

TEST_F(bulk_callers, that_overlap_on_threads_load_each_key_once) {
    std::atomic<int> keys_loaded = 0;
    const auto slow = [&](const strings& keys) {
        keys_loaded += static_cast<int>(keys.size());
        return keys;
    };
    constexpr int each = 8;
    std::latch all_there(each);
    std::vector<std::jthread> callers;
    std::atomic<int> right = 0;
    for (int i = 0; i < each; ++i) {
        callers.emplace_back([&, i] {
            strings mine;
            for (int k = 0; k < 20; ++k) {
                mine.push_back(std::to_string((i * 7 + k * 3) % 40));
            }
            all_there.arrive_and_wait();
            right += text_of(i % 2 == 0 ? texts.get_or_load_many(mine, slow)
                                        : texts.async_get_or_load_many(mine, slow, asio::use_future).get()) ==
                             text_of(mine)
                         ? 1
                         : 0;
        });
    }
    callers.clear();
    EXPECT_EQ(right, each);
    EXPECT_LE(keys_loaded, 40);
    EXPECT_EQ(static_cast<std::uint64_t>(keys_loaded.load()), texts.stats().loads);
}

TEST_F(bulk_callers, on_a_thread_of_the_executor_are_refused) {
    const auto refused = [&]() -> asio::awaitable<bool> {
        try {
            static_cast<void>(texts.get_or_load_many({"a"}, [](const strings& keys) { return keys; }));
        } catch (const error& e) {
            co_return e.code() == errc::would_deadlock;
        }
        co_return false;
    };
    EXPECT_TRUE(asio::co_spawn(threads.get_executor(), refused, asio::use_future).get());
}

TEST_F(bulk_callers, on_a_thread_of_the_executor_are_refused_before_the_shared_level_is_asked) {
    const auto shared = std::make_shared<memory_store>();
    const auto counted =
        std::make_shared<testing::chaos_store>(shared, async::steady_scheduler(threads.get_executor()));
    string_cache both{{.local = {.max_entries = 1000},
                       .remote = counted,
                       .executor = threads.get_executor(),
                       .blocking_executor = threads.blocking_executor()}};
    const auto refused = [&]() -> asio::awaitable<bool> {
        try {
            static_cast<void>(both.get_or_load_many({"a"}, [](const strings& keys) { return keys; }));
        } catch (const error& e) {
            co_return e.code() == errc::would_deadlock;
        }
        co_return false;
    };
    EXPECT_TRUE(asio::co_spawn(threads.get_executor(), refused, asio::use_future).get());
    EXPECT_EQ(counted->counts().calls, 0U) << "a refused call would count against it";
}

TEST(a_blocking_bulk_call, ends_by_its_deadline_when_the_executor_of_anothers_load_does_not_run) {
    asio::io_context idle;
    string_cache texts{{.local = {.max_entries = 1000},
                        .executor = idle.get_executor(),
                        .defaults = {.load_timeout = 50ms}}};
    const auto coroutine = [](std::string key) -> asio::awaitable<std::string> { co_return key; };
    texts.async_get_or_load("a", coroutine, [](std::exception_ptr, std::optional<std::string>) {});
    try {
        static_cast<void>(texts.get_or_load_many({"a", "b"}, [](const strings& keys) { return keys; }));
        ADD_FAILURE() << "nobody loads a";
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::timeout);
    }
}

}  // namespace
}  // namespace levee
