#include "redis/connection_state.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {
namespace {

using namespace std::chrono_literals;

struct test_request final : request {
    explicit test_request(std::string name, time_point until = (time_point::max)())
        : request(command(name), until) {
        wire = std::move(name);
    }
    void finish() noexcept override { ++finished; }
    int finished = 0;
};

struct fixture {
    explicit fixture(const connection_state::rules& rules = {}) : state(rules) {}

    std::string take(std::size_t enough = 1'000) {
        std::string out;
        state.take_output(out, enough, now, done);
        return out;
    }
    bool answer(const std::string& text) { return state.take_reply(reply::of_string(text), done); }
    int finish() {
        int count = 0;
        while (request* const one = done.pop()) {
            one->finish();
            ++count;
        }
        return count;
    }

    connection_state state;
    time_point now{1h};
    finished_list done;
    const failure broken{errc::connection_lost, false, "broken"};
};

TEST(redis_connection_state, joins_what_waits_into_one_write) {
    fixture f;
    test_request a("a"), b("b"), c("c");
    EXPECT_TRUE(f.state.submit(a));
    f.state.connected();
    EXPECT_TRUE(f.state.submit(b));
    EXPECT_EQ(f.take(), "ab");
    EXPECT_TRUE(f.state.submit(c));
    EXPECT_EQ(f.take(), "c");
    EXPECT_EQ(f.take(), "");
}

TEST(redis_connection_state, ends_a_write_once_it_is_large_enough) {
    fixture f;
    f.state.connected();
    test_request a("aaaa"), b("bbbb");
    EXPECT_TRUE(f.state.submit(a) && f.state.submit(b));
    EXPECT_EQ(f.take(3), "aaaa");
    EXPECT_EQ(f.take(3), "bbbb");
}

TEST(redis_connection_state, sends_nothing_while_not_connected) {
    fixture f;
    test_request a("a");
    EXPECT_TRUE(f.state.submit(a));
    EXPECT_FALSE(f.state.has_output());
    EXPECT_EQ(f.take(), "");
    f.state.connected();
    EXPECT_TRUE(f.state.has_output());
}

TEST(redis_connection_state, gives_replies_in_the_order_of_commands) {
    fixture f;
    f.state.connected();
    test_request a("a"), b("b");
    EXPECT_TRUE(f.state.submit(a) && f.state.submit(b));
    f.take();
    EXPECT_TRUE(f.answer("A"));
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(a.answer.text(), "A");
    EXPECT_TRUE(f.answer("B"));
    EXPECT_EQ(b.answer.text(), "B");
}

TEST(redis_connection_state, collects_the_replies_of_a_group) {
    fixture f;
    f.state.connected();
    test_request group("g"), other("o");
    group.is_group = true;
    group.commands = 2;
    EXPECT_TRUE(f.state.submit(group) && f.state.submit(other));
    f.take();
    EXPECT_TRUE(f.answer("1"));
    EXPECT_EQ(f.finish(), 0);
    EXPECT_TRUE(f.answer("2"));
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(group.parts, (std::vector{reply::of_string("1"), reply::of_string("2")}));
    EXPECT_TRUE(f.answer("O"));
    EXPECT_EQ(other.answer.text(), "O");
}

TEST(redis_connection_state, refuses_a_reply_that_nobody_asked_for) {
    fixture f;
    f.state.connected();
    EXPECT_FALSE(f.answer("?"));
    test_request a("a");
    EXPECT_TRUE(f.state.submit(a));
    EXPECT_FALSE(f.answer("?")) << "it is not sent yet";
}

TEST(redis_connection_state, drops_the_late_reply_of_an_abandoned_command) {
    fixture f;
    f.state.connected();
    test_request a("a"), b("b");
    EXPECT_TRUE(f.state.submit(a) && f.state.submit(b));
    f.take();
    EXPECT_TRUE(f.state.abandon(a, levee::errc::timeout));
    EXPECT_TRUE(a.cause.may_have_been_executed);
    EXPECT_TRUE(f.answer("late"));
    EXPECT_TRUE(f.answer("B"));
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(b.answer.text(), "B");
    EXPECT_EQ(f.state.totals().dropped_late, 1U);
    EXPECT_EQ(a.finished, 0);
}

TEST(redis_connection_state, never_sends_what_was_abandoned_before) {
    fixture f;
    test_request a("a"), b("b");
    EXPECT_TRUE(f.state.submit(a) && f.state.submit(b));
    EXPECT_TRUE(f.state.abandon(a, levee::errc::cancelled));
    EXPECT_FALSE(a.cause.may_have_been_executed);
    f.state.connected();
    EXPECT_EQ(f.take(), "b");
}

TEST(redis_connection_state, abandons_only_what_is_not_done) {
    fixture f;
    f.state.connected();
    test_request a("a");
    EXPECT_TRUE(f.state.submit(a));
    f.take();
    f.answer("A");
    EXPECT_FALSE(f.state.abandon(a, levee::errc::timeout));
    EXPECT_FALSE(a.cause.code);
}

TEST(redis_connection_state, expires_by_deadline_what_no_thread_looks_after) {
    fixture f;
    f.state.connected();
    test_request sent("s", f.now + 10ms), waits("w", f.now + 20ms), thread("t", f.now + 1ms),
        later("l", f.now + 1h);
    thread.is_blocking = true;
    EXPECT_TRUE(f.state.submit(sent));
    f.take();
    EXPECT_TRUE(f.state.submit(waits) && f.state.submit(thread) && f.state.submit(later));
    EXPECT_LE(f.state.earliest_deadline(), f.now + 10ms);
    f.state.expire(f.now + 10ms, f.done);
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(sent.cause.code, levee::errc::timeout);
    EXPECT_TRUE(sent.cause.may_have_been_executed);
    EXPECT_EQ(f.state.earliest_deadline(), f.now + 20ms);
    f.state.expire(f.now + 30ms, f.done);
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(waits.cause.code, levee::errc::timeout);
    EXPECT_FALSE(waits.cause.may_have_been_executed);
    EXPECT_EQ(f.state.earliest_deadline(), f.now + 1h);
    EXPECT_EQ(thread.finished, 0);
    EXPECT_EQ(f.take(), "tl");
}

TEST(redis_connection_state, says_of_what_was_sent_that_it_may_have_been_executed) {
    fixture f;
    f.state.connected();
    test_request sent("s"), waits("w");
    EXPECT_TRUE(f.state.submit(sent));
    f.take();
    EXPECT_TRUE(f.state.submit(waits));
    f.state.lost(f.broken, f.done);
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(sent.cause.code, errc::connection_lost);
    EXPECT_TRUE(sent.cause.may_have_been_executed);
    EXPECT_EQ(waits.state, request_state::queued);
    f.state.connected();
    EXPECT_EQ(f.take(), "w");
}

TEST(redis_connection_state, sends_idempotent_commands_again_before_the_others_and_in_order) {
    fixture f;
    f.state.connected();
    test_request a("a"), b("b"), c("c"), d("d");
    a.is_idempotent = c.is_idempotent = true;
    EXPECT_TRUE(f.state.submit(a) && f.state.submit(b) && f.state.submit(c));
    f.take();
    EXPECT_TRUE(f.state.submit(d));
    f.state.lost(f.broken, f.done);
    EXPECT_EQ(f.finish(), 1);
    f.state.connected();
    EXPECT_EQ(f.take(), "acd");
    EXPECT_TRUE(f.answer("A") && f.answer("C") && f.answer("D"));
    EXPECT_EQ(c.answer.text(), "C");
    EXPECT_EQ(f.state.totals().repeated, 2U);
}

TEST(redis_connection_state, repeats_no_more_often_than_allowed) {
    fixture f({.max_attempts = 2});
    test_request a("a");
    a.is_idempotent = true;
    EXPECT_TRUE(f.state.submit(a));
    for (int attempt = 0; attempt < 2; ++attempt) {
        f.state.connected();
        EXPECT_EQ(f.take(), "a");
        f.state.lost(f.broken, f.done);
    }
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(a.cause.code, errc::connection_lost);
}

TEST(redis_connection_state, forgets_the_parts_of_a_group_that_is_sent_again) {
    fixture f;
    f.state.connected();
    test_request group("g");
    group.is_group = group.is_idempotent = true;
    group.commands = 2;
    EXPECT_TRUE(f.state.submit(group));
    f.take();
    f.answer("old");
    f.state.lost(f.broken, f.done);
    f.state.connected();
    f.take();
    EXPECT_TRUE(f.answer("1") && f.answer("2"));
    EXPECT_EQ(group.parts.size(), 2U);
    EXPECT_EQ(group.parts[0].text(), "1");
}

TEST(redis_connection_state, a_repeated_command_that_times_out_in_the_queue_may_have_been_executed) {
    fixture f;
    f.state.connected();
    test_request a("a");
    a.is_idempotent = true;
    EXPECT_TRUE(f.state.submit(a));
    f.take();
    f.state.lost(f.broken, f.done);
    EXPECT_TRUE(f.state.abandon(a, levee::errc::timeout));
    EXPECT_TRUE(a.cause.may_have_been_executed);
}

TEST(redis_connection_state, waits_while_disconnected_or_fails_as_chosen) {
    const failure no{errc::not_connected, false, "nobody listens"};
    fixture waiting;
    test_request a("a"), b("b");
    EXPECT_TRUE(waiting.state.submit(a));
    waiting.state.refused(no, false, waiting.done);
    EXPECT_TRUE(waiting.done.empty());
    EXPECT_TRUE(waiting.state.submit(b));
    EXPECT_TRUE(waiting.state.abandon(b, levee::errc::timeout));
    EXPECT_NE(b.cause.what.find("nobody listens"), std::string::npos) << b.cause.what;

    fixture failing({.waits_while_disconnected = false});
    test_request c("c"), d("d"), e("e");
    EXPECT_TRUE(failing.state.submit(c)) << "the first attempt is under way";
    failing.state.refused(no, false, failing.done);
    EXPECT_EQ(failing.finish(), 1);
    EXPECT_EQ(c.cause.code, errc::not_connected);
    EXPECT_FALSE(failing.state.submit(d));
    EXPECT_EQ(d.cause.code, errc::not_connected);
    failing.state.try_again();
    EXPECT_TRUE(failing.state.submit(e));
}

TEST(redis_connection_state, a_final_refusal_ends_what_waits) {
    fixture f;
    test_request a("a");
    EXPECT_TRUE(f.state.submit(a));
    f.state.refused({errc::authentication, false, "no"}, true, f.done);
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(a.cause.code, errc::authentication);
}

TEST(redis_connection_state, is_bounded_in_commands_and_in_bytes) {
    fixture f({.max_pending = 2, .max_pending_bytes = 10});
    test_request a("aaaaaaaaaaaaaaaa"), b("b"), c("c"), d("d");
    EXPECT_TRUE(f.state.submit(a)) << "alone it may be larger";
    EXPECT_FALSE(f.state.submit(b));
    EXPECT_EQ(b.cause.code, errc::queue_full);
    f.state.connected();
    f.take();
    EXPECT_TRUE(f.state.submit(c));
    EXPECT_FALSE(f.state.submit(d)) << "sent ones count";
    EXPECT_EQ(d.cause.code, errc::queue_full);
}

TEST(redis_connection_state, a_request_bound_to_a_connection_is_never_sent_on_another) {
    fixture f;
    f.state.connected();
    test_request watched("w"), late("l");
    watched.generation = late.generation = f.state.generation();
    watched.is_idempotent = true;
    EXPECT_TRUE(f.state.submit(watched));
    f.state.lost(f.broken, f.done);
    EXPECT_FALSE(f.state.submit(late));
    EXPECT_EQ(late.cause.code, errc::connection_lost);
    EXPECT_FALSE(late.cause.may_have_been_executed);
    f.state.connected();
    EXPECT_EQ(f.take(), "");
    EXPECT_EQ(f.finish(), 1);
    EXPECT_EQ(watched.cause.code, errc::connection_lost);
    EXPECT_FALSE(watched.cause.may_have_been_executed);
}

TEST(redis_connection_state, is_silent_when_an_answer_is_owed_for_too_long) {
    fixture f({.silence_timeout = 1s});
    f.state.connected();
    EXPECT_FALSE(f.state.is_silent(f.now + 1h)) << "nothing is owed";
    test_request a("a"), b("b");
    EXPECT_TRUE(f.state.submit(a));
    f.take();
    EXPECT_FALSE(f.state.is_silent(f.now + 999ms));
    EXPECT_TRUE(f.state.is_silent(f.now + 1s));
    f.state.heard(f.now + 500ms);
    EXPECT_FALSE(f.state.is_silent(f.now + 1s));
}

TEST(redis_connection_state, ends_everything_when_it_is_closed) {
    fixture f;
    f.state.connected();
    test_request sent("s"), waits("w"), late("l");
    EXPECT_TRUE(f.state.submit(sent));
    f.take();
    EXPECT_TRUE(f.state.submit(waits));
    f.state.close({levee::errc::closed, false, "closed"}, f.done);
    EXPECT_EQ(f.finish(), 2);
    EXPECT_TRUE(sent.cause.may_have_been_executed);
    EXPECT_FALSE(waits.cause.may_have_been_executed);
    EXPECT_FALSE(f.state.submit(late));
    EXPECT_EQ(late.cause.code, levee::errc::closed);
    f.state.lost(f.broken, f.done);
    f.state.refused(f.broken, true, f.done);
    EXPECT_EQ(f.state.where(), connection_state::phase::closed);
}

}  // namespace
}  // namespace levee::redis::detail
