#include "postgres/pipeline_state.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "levee/postgres/error.hpp"

namespace levee::postgres::detail {
namespace {

class test_request final : public request {
public:
    explicit test_request(int given = 0) : number(given) {}
    ~test_request() = default;
    void finish() noexcept override { ++finished; }

    int number;
    int got = -1;
    int finished = 0;
};

std::exception_ptr because(levee::errc code) {
    return std::make_exception_ptr(levee::error(code));
}

constexpr answer value{.kind = answer_kind::value};
constexpr answer refused{.kind = answer_kind::refused};
constexpr answer stale{.kind = answer_kind::refused, .is_stale_statement = true};
constexpr answer canceled{.kind = answer_kind::refused, .is_canceled = true};
constexpr answer synced{.kind = answer_kind::synced, .status = transaction_status::idle};
constexpr answer synced_within{.kind = answer_kind::synced, .status = transaction_status::open};

struct pipeline : testing::Test {
    void take(const answer& one) {
        ASSERT_TRUE(state.take(one, done));
        done.finish_all();
    }
    void send_all() {
        while (state.next_to_send() != nullptr) {
        }
    }

    finished_list done;
    pipeline_state state{{.max_pending = 8, .max_in_flight = 4}};
    pipeline_state shared{{.is_shared = true}};
    test_request a{1}, b{2}, c{3};
};

TEST_F(pipeline, answers_come_in_the_order_of_the_statements) {
    ASSERT_TRUE(state.submit(a));
    ASSERT_TRUE(state.submit(b));
    EXPECT_EQ(state.next_to_send(), &a);
    EXPECT_EQ(state.next_to_send(), &b);
    EXPECT_EQ(state.next_to_send(), nullptr);
    EXPECT_EQ(state.owner(), &a);
    take(value);
    take(synced);
    EXPECT_EQ(a.finished, 1);
    EXPECT_EQ(state.owner(), &b);
    EXPECT_EQ(state.status(), transaction_status::unknown);
    take(value);
    take(synced);
    EXPECT_EQ(b.finished, 1);
    EXPECT_EQ(state.status(), transaction_status::idle);
    EXPECT_FALSE(state.take(value, done));
}

TEST_F(pipeline, a_refusal_belongs_to_its_own_group_only) {
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    send_all();
    state.note_prepares(7);
    take(refused);
    EXPECT_TRUE(state.is_refused());
    take(answer{.kind = answer_kind::skipped});
    take(synced);
    EXPECT_FALSE(state.is_refused());
    EXPECT_EQ(state.unprepared(), 7U);
    take(value);
    EXPECT_EQ(state.unprepared(), 0U);
    take(synced);
    EXPECT_EQ(a.finished + b.finished, 2);
}

TEST_F(pipeline, the_answer_of_an_abandoned_statement_is_given_to_nobody) {
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    send_all();
    ASSERT_TRUE(state.abandon(a, because(levee::errc::timeout)));
    EXPECT_FALSE(state.abandon(a, because(levee::errc::timeout)));
    EXPECT_EQ(state.owner(), nullptr);
    take(value);
    take(synced);
    EXPECT_EQ(state.owner(), &b);
    EXPECT_EQ(a.finished, 0);
}

TEST_F(pipeline, a_queued_statement_leaves_the_queue_when_it_is_abandoned) {
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    ASSERT_TRUE(state.abandon(a, because(levee::errc::cancelled)));
    EXPECT_EQ(state.next_to_send(), &b);
    EXPECT_EQ(state.unanswered(), 1U);
}

TEST_F(pipeline, cancelling_waits_until_nobody_can_be_hit) {
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    send_all();
    ASSERT_TRUE(state.abandon(a, because(levee::errc::timeout)));
    EXPECT_FALSE(state.wants_cancel());
    ASSERT_TRUE(state.submit(c));
    EXPECT_EQ(state.next_to_send(), nullptr);  // not behind one that was given up
    ASSERT_TRUE(state.abandon(b, because(levee::errc::timeout)));
    EXPECT_TRUE(state.wants_cancel());
    state.begin_cancel();
    EXPECT_FALSE(state.wants_cancel());
    take(canceled);
    take(synced);
    take(value);
    take(synced);
    EXPECT_EQ(state.next_to_send(), nullptr);  // the request to cancel may still hit
    state.end_cancel();
    EXPECT_EQ(state.next_to_send(), &c);
}

TEST_F(pipeline, a_request_to_cancel_that_came_too_early_can_be_made_again) {
    ASSERT_TRUE(state.submit(a));
    send_all();
    ASSERT_TRUE(state.abandon(a, because(levee::errc::timeout)));
    state.begin_cancel();
    state.end_cancel();
    EXPECT_FALSE(state.wants_cancel());
    state.cancel_again();
    EXPECT_TRUE(state.wants_cancel());
}

TEST_F(pipeline, a_stranger_that_was_hit_is_sent_again) {
    ASSERT_TRUE(shared.submit(a) && shared.submit(b));
    while (shared.next_to_send() != nullptr) {
    }
    ASSERT_TRUE(shared.abandon(a, because(levee::errc::timeout)));
    ASSERT_TRUE(shared.wants_cancel());
    shared.begin_cancel();
    ASSERT_TRUE(shared.take(value, done) && shared.take(synced, done));
    shared.end_cancel();
    b.cause = because(levee::errc::unavailable);
    ASSERT_TRUE(shared.take(canceled, done) && shared.take(synced, done));
    EXPECT_TRUE(done.empty());
    EXPECT_EQ(shared.next_to_send(), &b);
    EXPECT_FALSE(b.cause);
    ASSERT_TRUE(shared.take(canceled, done) && shared.take(synced, done));  // by somebody else now
    EXPECT_EQ(done.pop(), &b);
}

TEST_F(pipeline, a_stale_statement_is_sent_again_only_where_that_is_harmless) {
    ASSERT_TRUE(state.submit(a));
    send_all();
    take(stale);
    take(synced);
    EXPECT_EQ(a.finished, 0);
    EXPECT_EQ(state.next_to_send(), &a);
    take(stale);
    take(synced_within);
    EXPECT_EQ(a.finished, 1);  // within a transaction
    ASSERT_TRUE(state.submit(b) && state.submit(c));
    send_all();
    take(stale);
    take(synced);
    EXPECT_EQ(b.finished, 1);  // another one was sent behind it
}

TEST_F(pipeline, no_statement_is_sent_again_for_ever) {
    ASSERT_TRUE(state.submit(a));
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(state.next_to_send(), &a);
        take(stale);
        take(synced);
    }
    EXPECT_EQ(a.finished, 1);
}

TEST_F(pipeline, a_copy_waits_for_all_and_all_wait_for_it) {
    test_request copy, part, end;
    copy.kind = request_kind::copy_begin;
    part.kind = request_kind::copy_data;
    end.kind = request_kind::copy_end;
    EXPECT_FALSE(state.submit(part));
    part.state = request_state::idle;
    part.cause = nullptr;
    ASSERT_TRUE(state.submit(a) && state.submit(copy) && state.submit(b));
    EXPECT_EQ(state.next_to_send(), &a);
    EXPECT_EQ(state.next_to_send(), nullptr);
    take(value);
    take(synced);
    EXPECT_EQ(state.next_to_send(), &copy);
    EXPECT_EQ(state.next_to_send(), nullptr);
    state.copy_opened(done);
    EXPECT_EQ(done.pop(), &copy);
    EXPECT_EQ(state.next_to_send(), nullptr);
    ASSERT_TRUE(state.submit(part));
    EXPECT_EQ(state.next_to_send(), &part);
    EXPECT_EQ(state.next_to_send(), nullptr);
    state.copy_part_sent(done);
    EXPECT_EQ(done.pop(), &part);
    ASSERT_TRUE(state.submit(end));
    EXPECT_EQ(state.next_to_send(), &end);
    take(value);
    take(synced);
    EXPECT_EQ(end.finished, 1);
    EXPECT_EQ(state.next_to_send(), &b);
}

TEST_F(pipeline, a_part_of_a_copy_given_up_spoils_the_connection) {
    test_request copy, part;
    copy.kind = request_kind::copy_begin;
    part.kind = request_kind::copy_data;
    ASSERT_TRUE(state.submit(copy));
    send_all();
    state.copy_opened(done);
    ASSERT_TRUE(state.submit(part));
    EXPECT_FALSE(state.is_spoiled());
    ASSERT_TRUE(state.abandon(part, because(levee::errc::timeout)));
    EXPECT_TRUE(state.is_spoiled());
}

TEST_F(pipeline, a_refused_copy_leaves_the_pipeline_as_it_was) {
    test_request copy;
    copy.kind = request_kind::copy_begin;
    ASSERT_TRUE(state.submit(copy) && state.submit(a));
    send_all();
    take(refused);
    take(synced);
    EXPECT_EQ(copy.finished, 1);
    EXPECT_EQ(state.next_to_send(), &a);
}

TEST_F(pipeline, more_than_its_rules_allow_is_refused_and_more_in_flight_waits) {
    std::deque<test_request> many(9);
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(state.submit(many[static_cast<std::size_t>(i)]));
    }
    EXPECT_FALSE(state.submit(many[8]));
    EXPECT_THROW(std::rethrow_exception(many[8].cause), error);
    send_all();
    EXPECT_EQ(state.unanswered(), 4U);
    take(value);
    take(synced);
    send_all();
    EXPECT_EQ(state.unanswered(), 4U);
}

TEST_F(pipeline, what_the_connection_asks_on_its_own_account_takes_nobodys_place) {
    pipeline_state narrow{{.max_pending = 1}};
    c.is_internal = true;
    ASSERT_TRUE(narrow.submit(c));
    ASSERT_TRUE(narrow.submit(a));
    EXPECT_FALSE(narrow.submit(b));
    EXPECT_EQ(narrow.next_to_send(), &c);
    EXPECT_EQ(narrow.next_to_send(), &a);
    ASSERT_TRUE(narrow.take(value, done) && narrow.take(synced, done));
    test_request d{4}, e{5};
    EXPECT_FALSE(narrow.submit(d));
    ASSERT_TRUE(narrow.take(value, done) && narrow.take(synced, done));
    e.is_internal = true;
    ASSERT_TRUE(narrow.submit(e));
    ASSERT_TRUE(narrow.abandon(e, because(levee::errc::timeout)));
    test_request f{6}, g{7};
    EXPECT_TRUE(narrow.submit(f));
    EXPECT_FALSE(narrow.submit(g));
}

TEST_F(pipeline, nothing_is_sent_behind_what_cleans_the_session) {
    a.is_internal = a.is_reset = true;
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    EXPECT_EQ(state.next_to_send(), &a);
    EXPECT_EQ(state.next_to_send(), nullptr);
    take(value);
    EXPECT_EQ(state.next_to_send(), nullptr);
    take(synced);
    EXPECT_EQ(state.next_to_send(), &b);
}

TEST_F(pipeline, an_end_of_a_copy_beside_a_part_of_it_spoils_the_connection) {
    a.kind = request_kind::copy_begin;
    b.kind = request_kind::copy_data;
    c.kind = request_kind::copy_end;
    ASSERT_TRUE(state.submit(a));
    EXPECT_EQ(state.next_to_send(), &a);
    state.copy_opened(done);
    ASSERT_TRUE(state.submit(b));
    EXPECT_FALSE(state.submit(c));
    EXPECT_TRUE(state.is_spoiled());  // nobody else would end it
}

TEST_F(pipeline, a_broken_connection_fails_all_and_keeps_the_causes_that_are_known) {
    ASSERT_TRUE(state.submit(a) && state.submit(b));
    EXPECT_EQ(state.next_to_send(), &a);
    a.cause = because(levee::errc::unavailable);
    state.close(because(levee::errc::timeout), because(levee::errc::closed), done);
    done.finish_all();
    EXPECT_EQ(a.finished + b.finished, 2);
    const auto code = [](const test_request& of) {
        try {
            std::rethrow_exception(of.cause);
        } catch (const levee::error& e) {
            return e.code();
        }
    };
    EXPECT_EQ(code(a), levee::errc::unavailable);
    EXPECT_EQ(code(b), levee::errc::closed);
    EXPECT_FALSE(state.submit(c));
}

TEST_F(pipeline, expires_what_no_thread_waits_for) {
    a.deadline = time_point(std::chrono::seconds(1));
    b.deadline = time_point(std::chrono::seconds(2));
    c.deadline = time_point(std::chrono::seconds(1));
    c.is_blocking = true;
    ASSERT_TRUE(state.submit(a) && state.submit(b) && state.submit(c));
    EXPECT_EQ(state.next_to_send(), &a);
    const auto cause = [](const request&) { return because(levee::errc::timeout); };
    state.expire(time_point(std::chrono::seconds(1)), cause, done);
    EXPECT_EQ(done.pop(), &a);
    EXPECT_EQ(done.pop(), nullptr);
    EXPECT_EQ(state.earliest_deadline(), b.deadline);
}

TEST_F(pipeline, a_statement_that_waits_to_be_sent_again_keeps_its_deadline) {
    a.deadline = time_point(std::chrono::seconds(1));
    b.deadline = time_point(std::chrono::seconds(3));
    c.deadline = time_point(std::chrono::seconds(9));
    ASSERT_TRUE(shared.submit(a) && shared.submit(b) && shared.submit(c));
    while (shared.next_to_send() != nullptr) {
    }
    const auto cause = [](const request&) { return because(levee::errc::timeout); };
    shared.expire(a.deadline, cause, done);
    EXPECT_EQ(done.pop(), &a);
    ASSERT_TRUE(shared.wants_cancel());
    shared.begin_cancel();
    ASSERT_TRUE(shared.take(value, done) && shared.take(synced, done));
    ASSERT_TRUE(shared.take(canceled, done) && shared.take(synced, done));  // b was hit, and is sent again
    EXPECT_TRUE(done.empty());
    shared.expire(time_point(std::chrono::seconds(2)), cause, done);
    EXPECT_EQ(shared.earliest_deadline(), b.deadline);
    shared.expire(b.deadline, cause, done);  // and may not be yet, while the request to cancel is under way
    EXPECT_EQ(done.pop(), &b);
    EXPECT_EQ(done.pop(), nullptr);
    EXPECT_EQ(shared.earliest_deadline(), c.deadline);
}

/// A server that executes groups in order; 1e5 random steps, cancels that hit whatever runs.
TEST_F(pipeline, no_answer_is_ever_paired_with_another_statement_whatever_is_given_up) {
    for (const bool is_shared : {false, true}) {
        pipeline_state one({.is_shared = is_shared});
        std::mt19937 chance(is_shared ? 7 : 11);
        std::deque<std::unique_ptr<test_request>> all;
        std::deque<int> server;  // numbers of the statements that it has and has not answered
        std::vector<test_request*> live;
        std::size_t answered = 0;
        std::size_t hits = 0;
        bool is_cancel_flying = false;
        bool is_front_hit = false;
        for (int step = 0; step < 100'000; ++step) {
            finished_list list;
            switch (chance() % 6) {
                case 0:
                case 1:
                    if (live.size() >= 64) {
                        break;
                    }
                    all.push_back(std::make_unique<test_request>(static_cast<int>(all.size())));
                    ASSERT_TRUE(one.submit(*all.back()));
                    live.push_back(all.back().get());
                    break;
                case 2:
                    if (request* const next = one.next_to_send()) {
                        server.push_back(static_cast<test_request*>(next)->number);
                    }
                    break;
                case 3:
                    if (!live.empty() && chance() % 4 == 0) {
                        test_request* const chosen = live[chance() % live.size()];
                        ASSERT_TRUE(one.abandon(*chosen, because(levee::errc::cancelled)));
                        std::erase(live, chosen);
                    }
                    if (one.wants_cancel()) {
                        one.begin_cancel();
                        is_cancel_flying = true;
                    }
                    break;
                default:
                    if (one.is_cancelling() && chance() % 3 == 0) {
                        one.end_cancel();  // it has reached the session: what runs is hit, or nothing
                        is_front_hit = is_cancel_flying && !server.empty();
                        is_cancel_flying = false;
                    }
                    if (!server.empty()) {
                        const int number = server.front();
                        server.pop_front();
                        auto* const to = static_cast<test_request*>(one.owner());
                        const bool is_hit = is_front_hit || (is_cancel_flying && chance() % 2 == 0);
                        is_front_hit = false;
                        if (is_hit) {
                            is_cancel_flying = false;
                            hits += to != nullptr ? 1 : 0;
                            if (to != nullptr) {
                                to->cause = because(levee::errc::unavailable);
                            }
                        } else if (to != nullptr) {
                            ASSERT_EQ(to->number, number);
                            to->got = number;
                        }
                        ASSERT_TRUE(one.take(is_hit ? canceled : value, list));
                        ASSERT_TRUE(one.take(synced, list));
                    }
            }
            while (request* const over = list.pop()) {
                auto* const own = static_cast<test_request*>(over);
                ASSERT_EQ(own->got, own->number);
                ASSERT_FALSE(own->cause);
                std::erase(live, own);
                ++answered;
            }
        }
        EXPECT_GT(answered, 10'000U);
        EXPECT_EQ(hits > 0, is_shared);
    }
}

}  // namespace
}  // namespace levee::postgres::detail
