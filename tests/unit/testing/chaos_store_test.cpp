#include "levee/testing/chaos_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/store/memory_store.hpp"
#include "levee/testing/manual_clock.hpp"
#include "levee/testing/remote_store_contract.hpp"
#include "levee/testing/simulation.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::errc;
using levee::memory_store;
using levee::remote_entry;
using levee::remote_store;
using levee::testing::chaos_link;
using levee::testing::chaos_store;
using levee::testing::chaos_store_options;

remote_entry entry_of(std::string_view text, levee::duration fresh = 1h) {
    remote_entry made;
    const auto raw = levee::as_bytes(text);
    made.payload.assign(raw.begin(), raw.end());
    made.fresh_left = fresh;
    return made;
}

/// Sleeping is leaping: time moves on at once. For blocking calls, one after the other.
class leaping_scheduler final : public levee::async::scheduler {
public:
    [[nodiscard]] asio::any_io_executor executor() const override { return context_.get_executor(); }
    [[nodiscard]] levee::time_point now() const noexcept override { return clock.now(); }
    [[nodiscard]] asio::awaitable<void> sleep_until(levee::time_point until) override {
        clock.set(std::max(until, clock.now()));
        co_await asio::post(asio::use_awaitable);
    }

    levee::testing::manual_clock clock;

private:
    mutable asio::io_context context_{1};
};

class rules_behind_delays : public testing::TestWithParam<levee::testing::remote_store_case> {};

TEST_P(rules_behind_delays, hold) {
    const auto time = std::make_shared<leaping_scheduler>();
    const auto inner = std::make_shared<memory_store>(
        levee::memory_store_options{.max_entries = 1000, .clock = &time->clock});
    const chaos_store_options delays{.seed = 7, .call_delay = 1ms, .answer_delay = 1ms};
    const auto store = std::make_shared<chaos_store>(inner, time, delays);
    GetParam().run({.store = store,
                    .pass = [&](levee::duration span) { time->clock.advance(span); },
                    .lose_data = [&] { inner->lose_data(); }},
                   "k");
    EXPECT_GT(store->counts().calls, 0u);
}

INSTANTIATE_TEST_SUITE_P(contract, rules_behind_delays,
                         testing::ValuesIn(levee::testing::remote_store_contract()),
                         [](const auto& instance) { return instance.param.name; });

/// What became of a call.
template <class T>
struct outcome {
    bool has_ended = false;
    std::optional<T> value{};
    std::error_code error{};
    levee::time_point at{};
};

struct chaos_stores : testing::Test {
    levee::testing::simulation world{1};
    std::shared_ptr<memory_store> inner =
        std::make_shared<memory_store>(levee::memory_store_options{.clock = &world.clock()});

    std::shared_ptr<chaos_store> store_with(const chaos_store_options& options) {
        return std::make_shared<chaos_store>(inner, world.scheduler(), options);
    }

    template <class T>
    static asio::awaitable<void> note(std::shared_ptr<outcome<T>> result, asio::awaitable<T> work,
                                      const levee::clock& clock) {
        try {
            result->value.emplace(co_await std::move(work));
        } catch (const levee::error& e) {
            result->error = e.code();
        }
        result->has_ended = true;
        result->at = clock.now();
    }

    template <class T>
    std::shared_ptr<outcome<T>> begin(asio::awaitable<T> work, asio::cancellation_signal* stop = nullptr) {
        auto result = std::make_shared<outcome<T>>();
        asio::co_spawn(world.executor(), note(result, std::move(work), world.clock()),
                       asio::bind_cancellation_slot(
                           stop != nullptr ? stop->slot() : asio::cancellation_slot(), asio::detached));
        return result;
    }

    template <class T>
    outcome<T> run(asio::awaitable<T> work) {
        const auto result = begin(std::move(work));
        world.run();
        return *result;
    }

    static asio::awaitable<bool> put(std::shared_ptr<remote_store> to, std::string key, remote_entry entry) {
        co_await to->async_put(std::move(key), std::move(entry));
        co_return true;
    }
};

TEST_F(chaos_stores, without_faults_pass_everything_on_at_once) {
    const auto store = store_with({});
    EXPECT_EQ(store->capabilities().has_leases, true);
    const auto began = world.now();
    EXPECT_TRUE(run(put(store, "k", entry_of("v"))).value);
    const auto found = run(store->async_get({"k"}));
    ASSERT_TRUE(found.value && found.value->front());
    EXPECT_EQ(found.value->front()->payload, entry_of("v").payload);
    EXPECT_EQ(world.now(), began);
    store->put("blocking", entry_of("b"));
    EXPECT_TRUE(inner->get({"blocking"}).front());
    EXPECT_EQ(store->counts().calls, 3u);
}

TEST_F(chaos_stores, delay_the_call_and_the_answer_each_within_its_bound) {
    const auto store = store_with({.call_delay = 10ms, .answer_delay = 20ms});
    levee::duration longest_call{}, longest_answer{}, shortest = 1h;
    for (int i = 0; i < 200; ++i) {
        const std::string key = std::to_string(i);
        const auto began = world.now();
        const auto done = begin(put(store, key, entry_of("v")));
        while (!inner->get({key}).front() && world.step()) {
        }
        const auto call = world.now() - began;
        world.run();
        ASSERT_TRUE(done->value);
        longest_call = std::max(longest_call, call);
        longest_answer = std::max(longest_answer, done->at - began - call);
        shortest = std::min(shortest, done->at - began);
    }
    EXPECT_LE(longest_call, 10ms);
    EXPECT_GT(longest_call, 8ms);
    EXPECT_LE(longest_answer, 20ms);
    EXPECT_GT(longest_answer, 16ms);
    EXPECT_LT(shortest, 6ms);
}

TEST_F(chaos_stores, refuse_without_doing) {
    const auto store = store_with({.refuse = 1.0});
    EXPECT_EQ(run(put(store, "k", entry_of("v"))).error, errc::unavailable);
    EXPECT_FALSE(inner->get({"k"}).front());
    EXPECT_EQ(store->counts().refused, 1u);
}

TEST_F(chaos_stores, do_and_lose_the_answer) {
    const auto store = store_with({.lose_answer = 1.0});
    EXPECT_EQ(run(put(store, "k", entry_of("v"))).error, errc::timeout);
    EXPECT_TRUE(inner->get({"k"}).front());
}

TEST_F(chaos_stores, do_late_what_their_callers_gave_up) {
    const auto store = store_with({.answer_delay = 5ms, .late = 1.0, .late_delay = 50ms});
    const auto done = begin(put(store, "k", entry_of("v")));
    while (!done->has_ended && world.step()) {
    }
    EXPECT_EQ(done->error, errc::timeout);
    EXPECT_FALSE(inner->get({"k"}).front());
    world.run();
    EXPECT_TRUE(inner->get({"k"}).front());

    asio::cancellation_signal stop;
    const auto cancelled = begin(put(store, "c", entry_of("v")), &stop);
    world.run_for(1us);
    stop.emit(asio::cancellation_type::terminal);
    world.run();
    EXPECT_EQ(cancelled->error, errc::cancelled);
    EXPECT_TRUE(inner->get({"c"}).front()) << "done although its caller has cancelled";
}

TEST_F(chaos_stores, are_silent_until_cancelled) {
    const auto store = store_with({.silence = 1.0});
    int done = 0;
    for (int i = 0; i < 50; ++i) {
        asio::cancellation_signal stop;
        const std::string key = std::to_string(i);
        const auto silent = begin(put(store, key, entry_of("v")), &stop);
        world.run();
        EXPECT_FALSE(silent->has_ended);
        stop.emit(asio::cancellation_type::terminal);
        world.run();
        EXPECT_EQ(silent->error, errc::cancelled);
        done += inner->get({key}).front() ? 1 : 0;
    }
    EXPECT_GT(done, 10);
    EXPECT_LT(done, 40);
    EXPECT_EQ(world.sleeping(), 0u);
}

TEST_F(chaos_stores, cancelled_on_the_way_do_nothing_and_on_the_way_back_have_done_it) {
    const auto store = store_with({.call_delay = 10ms, .answer_delay = 10ms});
    int before = 0, after = 0;
    for (int i = 0; i < 100; ++i) {
        asio::cancellation_signal stop;
        const std::string key = std::to_string(i);
        const auto cancelled = begin(put(store, key, entry_of("v")), &stop);
        world.run_for(5ms);
        const bool was_done = inner->get({key}).front().has_value();
        const bool had_ended = cancelled->has_ended;
        stop.emit(asio::cancellation_type::terminal);
        world.run();
        EXPECT_EQ(inner->get({key}).front().has_value(), was_done);
        EXPECT_TRUE(had_ended || cancelled->error == errc::cancelled);
        (was_done ? after : before) += 1;
    }
    EXPECT_GT(before, 20);
    EXPECT_GT(after, 20);
}

TEST_F(chaos_stores, cut_off_refuse_or_are_silent_and_come_back) {
    const auto store = store_with({.call_delay = 1ms});
    store->set_link(chaos_link::refuses);
    EXPECT_EQ(run(put(store, "k", entry_of("v"))).error, errc::unavailable);
    store->set_link(chaos_link::is_silent);
    asio::cancellation_signal stop;
    const auto silent = begin(put(store, "k", entry_of("v")), &stop);
    world.run();
    EXPECT_FALSE(silent->has_ended);
    store->set_link(chaos_link::works);
    EXPECT_TRUE(run(put(store, "later", entry_of("v"))).value);
    EXPECT_FALSE(silent->has_ended) << "what was lost stays lost";
    stop.emit(asio::cancellation_type::terminal);
    world.run();
    EXPECT_EQ(silent->error, errc::cancelled);
    EXPECT_FALSE(inner->get({"k"}).front());
}

TEST_F(chaos_stores, cut_while_an_answer_is_on_its_way_have_done_it) {
    const auto store = store_with({.answer_delay = 10ms});
    const auto done = begin(put(store, "k", entry_of("v")));
    while (!inner->get({"k"}).front() && world.step()) {
    }
    store->set_link(chaos_link::refuses);
    world.run();
    EXPECT_EQ(done->error, errc::unavailable);
}

TEST_F(chaos_stores, give_back_payloads_of_another_length) {
    const auto store = store_with({.resize = 1.0});
    inner->put("k", entry_of("12345678"));
    int shorter = 0, longer = 0;
    for (int i = 0; i < 40; ++i) {
        const auto found = run(store->async_get({"k", "none"}));
        ASSERT_TRUE(found.value && found.value->at(0) && !found.value->at(1));
        const auto size = found.value->at(0)->payload.size();
        EXPECT_NE(size, 8u);
        (size < 8 ? shorter : longer) += 1;
    }
    EXPECT_GT(shorter, 5);
    EXPECT_GT(longer, 5);
    EXPECT_EQ(inner->get({"k"}).front()->payload.size(), 8u);
    remote_entry negative = entry_of("");
    negative.is_negative = true;
    inner->put("n", negative);
    const auto answer = run(store->async_get_or_lease({.key = "n", .lease = 1s}));
    ASSERT_TRUE(answer.value && answer.value->entry);
    EXPECT_TRUE(answer.value->entry->payload.empty());
}

TEST_F(chaos_stores, give_back_payloads_with_another_bit) {
    const auto store = store_with({.garble = 1.0});
    inner->put("k", entry_of("12345678"));
    for (int i = 0; i < 20; ++i) {
        const auto found = run(store->async_get_or_lease({.key = "k", .lease = 1s}));
        ASSERT_TRUE(found.value && found.value->entry);
        EXPECT_EQ(found.value->entry->payload.size(), 8u);
        EXPECT_NE(found.value->entry->payload, entry_of("12345678").payload);
    }
    EXPECT_EQ(store->counts().garbled, 20u);
}

TEST_F(chaos_stores, lose_their_data) {
    const auto store = store_with({.lose = 1.0, .lose_data = [this] { inner->lose_data(); }});
    inner->put("k", entry_of("v"));
    const auto found = run(store->async_get({"k"}));
    ASSERT_TRUE(found.value);
    EXPECT_FALSE(found.value->front());
    EXPECT_EQ(store->counts().losses, 1u);
}

TEST_F(chaos_stores, do_the_same_for_the_same_seed_and_something_else_for_another) {
    const auto run_with = [](std::uint64_t seed) {
        levee::testing::simulation one(5);
        const auto shared =
            std::make_shared<memory_store>(levee::memory_store_options{.clock = &one.clock()});
        const chaos_store_options options{.seed = seed,
                                          .call_delay = 1ms,
                                          .answer_delay = 1ms,
                                          .refuse = 0.2,
                                          .lose_answer = 0.2,
                                          .late = 0.2};
        const auto store = std::make_shared<chaos_store>(shared, one.scheduler(), options);
        std::string story;
        for (int i = 0; i < 50; ++i) {
            asio::co_spawn(one.executor(), put(store, std::to_string(i), entry_of("v")),
                           [&, i](const std::exception_ptr& failure, bool) {
                               story += std::to_string(i) + (failure ? "- " : "+ ");
                           });
        }
        one.run();
        return story + std::to_string(one.now().time_since_epoch().count());
    };
    EXPECT_EQ(run_with(3), run_with(3));
    EXPECT_NE(run_with(3), run_with(4));
}

TEST_F(chaos_stores, change_their_faults_while_they_run) {
    const auto store = store_with({.refuse = 1.0});
    EXPECT_EQ(run(put(store, "k", entry_of("v"))).error, errc::unavailable);
    store->set_options({});
    EXPECT_TRUE(run(put(store, "k", entry_of("v"))).value);
}

TEST_F(chaos_stores, name_the_option_that_is_out_of_range) {
    const auto refused = [&](const chaos_store_options& options, std::string_view field) {
        try {
            static_cast<void>(store_with(options));
            ADD_FAILURE() << field << " was accepted";
        } catch (const std::invalid_argument& e) {
            EXPECT_NE(std::string_view(e.what()).find(field), std::string_view::npos) << e.what();
        }
    };
    refused({.call_delay = -1ns}, "call_delay");
    refused({.answer_delay = -1ns}, "answer_delay");
    refused({.refuse = 1.5}, "refuse");
    refused({.late_delay = 0ns}, "late_delay");
    refused({.resize = -0.1}, "resize");
    refused({.garble = 2}, "garble");
    refused({.refuse = 0.6, .silence = 0.6}, "sum");
    refused({.lose = 0.1}, "lose_data");
    EXPECT_THROW(chaos_store(nullptr, world.scheduler()), std::invalid_argument);
}

}  // namespace
