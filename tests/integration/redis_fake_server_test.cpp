// The Redis client against servers that misbehave.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/subscriber.hpp"
#include "support/code_of.hpp"
#include "support/fake_redis.hpp"
#include "support/free_port.hpp"
#include "support/standing_time.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using tests::error_of;
using tests::fake_redis;
using tests::fake_session;

std::string bulk(const std::string& text) {
    return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

struct setup {
    explicit setup(std::uint16_t port, client_options options = {})
        : db((options.port = port, options.executor = rt.get_executor(), options)) {}
    runtime rt{1, 1};
    client db;
};

TEST(redis_client, reads_a_reply_that_comes_byte_by_byte) {
    fake_redis server([](fake_session& peer) {
        if (!peer.greet()) {
            return;
        }
        while (!peer.command().empty()) {
            for (const char each : bulk("value")) {
                peer.say({&each, 1});
            }
        }
    });
    setup s(server.port(), {.command_timeout = 10s});
    EXPECT_EQ(s.db.get("a"), "value");
    EXPECT_EQ(s.db.async_get("a", asio::use_future).get(), "value");
}

TEST(redis_client, keeps_real_time_for_threads_whatever_the_scheduler_has) {
    fake_redis server([](fake_session& peer) {
        if (peer.greet()) {
            while (!peer.command().empty()) {
                peer.say(bulk("value"));
            }
        }
    });
    runtime rt(1, 1);
    client_options options{.port = server.port(), .executor = rt.get_executor(), .command_timeout = 10s};
    options.scheduler = std::make_shared<tests::standing_time>(rt.get_executor());
    client db(options);
    EXPECT_EQ(db.get("a"), "value");
    EXPECT_EQ(db.execute("ECHO", "b").text(), "value");
}

// A reply cut anywhere, by a close and by a reset: the command fails, never with half a value, and the next
// connection is a clean one.
TEST(redis_client, tells_that_a_command_may_have_been_executed_when_its_reply_is_cut_at_any_byte) {
    const std::string whole = "*2\r\n$5\r\nvalue\r\n:7\r\n";
    for (const bool is_reset : {false, true}) {
        for (std::size_t cut = 0; cut < whole.size(); ++cut) {
            fake_redis server([&](fake_session& peer) {
                if (peer.greet() && !peer.command().empty()) {
                    peer.say(peer.number() == 0 ? whole.substr(0, cut) : "+fine\r\n");
                    if (peer.number() > 0) {
                        peer.wait_for_the_end();
                    } else if (is_reset) {
                        peer.reset();
                    }
                }
            });
            setup s(server.port(), {.command_timeout = 10s});
            const auto failed = error_of<error>([&] { return s.db.execute("LPUSH", "a", "b"); });
            ASSERT_TRUE(failed) << "cut at " << cut;
            EXPECT_EQ(failed->code(), errc::connection_lost) << failed->what();
            EXPECT_TRUE(failed->may_have_been_executed());
            EXPECT_EQ(s.db.execute("LPUSH", "a", "c").text(), "fine");
        }
    }
}

TEST(redis_client, sends_idempotent_commands_again_on_a_new_connection) {
    std::vector<std::string> heard;
    fake_redis server([&](fake_session& peer) {
        if (peer.greet()) {
            heard.push_back(peer.command());
            if (peer.number() == 2) {
                peer.say(bulk("third time"));
                peer.wait_for_the_end();
            }
        }
    });
    {
        setup s(server.port(), {.command_timeout = 10s, .max_attempts = 3});
        EXPECT_EQ(s.db.get("a"), "third time");
        EXPECT_EQ(s.db.stats().repeated, 2U);
    }
    EXPECT_EQ(heard, (std::vector<std::string>{"GET a", "GET a", "GET a"}));
}

TEST(redis_client, closes_the_connection_on_malformed_replies) {
    for (const std::string answer :
         {"!what\r\n", "$-9\r\n", ":x\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"}) {
        fake_redis server([&](fake_session& peer) {
            if (peer.greet() && !peer.command().empty()) {
                peer.say(peer.number() == 0 ? answer : "+fine\r\n");
                peer.wait_for_the_end();
            }
        });
        setup s(server.port(), {.command_timeout = 10s});
        const auto failed = error_of<error>([&] { return s.db.execute("INCR", "a"); });
        ASSERT_TRUE(failed) << answer;
        EXPECT_EQ(failed->code(), errc::connection_lost);
        EXPECT_NE(std::string(failed->what()).find("not the Redis protocol"), std::string::npos)
            << failed->what();
        EXPECT_EQ(s.db.execute("INCR", "a").text(), "fine");
    }
}

TEST(redis_client, closes_the_connection_on_an_answer_to_no_question) {
    fake_redis server([&](fake_session& peer) {
        if (peer.greet() && !peer.command().empty()) {
            peer.say(peer.number() == 0 ? "+one\r\n+two\r\n" : "+fine\r\n");
            peer.wait_for_the_end();
        }
    });
    setup s(server.port(), {.command_timeout = 10s});
    static_cast<void>(error_of<error>([&] { return s.db.execute("INCR", "a"); }));
    EXPECT_EQ(s.db.execute("INCR", "a").text(), "fine");
}

TEST(redis_client, refuses_replies_beyond_its_limits) {
    fake_redis server([&](fake_session& peer) {
        if (peer.greet() && !peer.command().empty()) {
            peer.say("$4000000000\r\n");
            peer.wait_for_the_end();
        }
    });
    setup s(server.port(), {.command_timeout = 10s, .max_reply_bytes = 1'000'000});
    const auto failed = error_of<error>([&] { return s.db.execute("INCR", "a"); });
    ASSERT_TRUE(failed);
    EXPECT_NE(std::string(failed->what()).find("1000000 bytes"), std::string::npos) << failed->what();
}

TEST(redis_client, ends_by_its_deadline_at_a_server_that_says_nothing) {
    fake_redis server([&](fake_session& peer) { peer.wait_for_the_end(); });
    setup s(server.port(), {.command_timeout = 30ms});
    for (const auto& failed : {error_of<error>([&] { return s.db.get("a"); }), error_of<error>([&] {
                                   return s.db.async_get("a", asio::use_future).get();
                               })}) {
        ASSERT_TRUE(failed);
        EXPECT_EQ(failed->code(), levee::errc::timeout);
        EXPECT_FALSE(failed->may_have_been_executed()) << "the greeting was not answered: nothing was sent";
    }
}

TEST(redis_client, ends_by_its_deadline_where_nobody_listens) {
    setup s(tests::free_port(), {.command_timeout = 30ms});
    for (const auto& failed : {error_of<error>([&] { return s.db.get("a"); }), error_of<error>([&] {
                                   return s.db.async_get("a", asio::use_future).get();
                               })}) {
        ASSERT_TRUE(failed);
        EXPECT_EQ(failed->code(), levee::errc::timeout);
        EXPECT_NE(std::string(failed->what()).find("refused"), std::string::npos) << failed->what();
    }
}

TEST(redis_client, fails_at_once_where_nobody_listens_if_so_chosen) {
    setup s(tests::free_port(), {.command_timeout = 60s, .while_disconnected = when_disconnected::fail});
    const auto failed = error_of<error>([&] { return s.db.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), errc::not_connected) << failed->what();
}

TEST(redis_client, drops_late_replies) {
    std::promise<void> may_answer;
    fake_redis server([&, heard = may_answer.get_future().share()](fake_session& peer) {
        if (!peer.greet()) {
            return;
        }
        peer.command();
        heard.wait();
        peer.say(bulk("late"));
        while (!peer.command().empty()) {
            peer.say(bulk("right"));
        }
    });
    {
        setup s(server.port(), {.command_timeout = 10s});
        const auto failed = error_of<error>([&] { return s.db.execute(command("GET", "a").timeout(20ms)); });
        ASSERT_TRUE(failed);
        EXPECT_EQ(failed->code(), levee::errc::timeout);
        EXPECT_TRUE(failed->may_have_been_executed());
        auto next = s.db.async_get("b", asio::use_future);
        may_answer.set_value();
        EXPECT_EQ(next.get(), "right");
        EXPECT_EQ(s.db.get("c"), "right");
        EXPECT_EQ(s.db.stats().dropped_late, 1U);
    }
}

TEST(redis_client, cancels_what_was_sent_and_drops_its_reply) {
    std::promise<void> is_sent;
    std::promise<void> may_answer;
    fake_redis server([&, heard = may_answer.get_future().share()](fake_session& peer) {
        if (!peer.greet()) {
            return;
        }
        peer.command();
        is_sent.set_value();
        heard.wait();
        peer.say(bulk("late"));
        while (!peer.command().empty()) {
            peer.say(bulk("right"));
        }
    });
    setup s(server.port(), {.command_timeout = 10s});
    asio::cancellation_signal stop;
    std::promise<std::exception_ptr> ended;
    const auto handler = [&](std::exception_ptr e, std::optional<std::string>) {
        ended.set_value(std::move(e));
    };
    asio::post(s.rt.get_executor(),
               [&] { s.db.async_get("a", asio::bind_cancellation_slot(stop.slot(), handler)); });
    is_sent.get_future().wait();
    asio::post(s.rt.get_executor(), [&] { stop.emit(asio::cancellation_type::terminal); });
    const auto failed = error_of<error>([&] {
        std::rethrow_exception(ended.get_future().get());
        return 0;
    });
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), levee::errc::cancelled);
    EXPECT_TRUE(failed->may_have_been_executed());
    may_answer.set_value();
    EXPECT_EQ(s.db.get("b"), "right");
}

TEST(redis_client, makes_a_silent_connection_anew) {
    fake_redis server([&](fake_session& peer) {
        if (peer.greet()) {
            while (!peer.command().empty()) {
                if (peer.number() > 0) {
                    peer.say(bulk("alive"));
                }
            }
        }
    });
    setup s(server.port(), {.command_timeout = 10s, .silence_timeout = 10ms});
    const auto failed = error_of<error>([&] { return s.db.execute(command("GET", "a").timeout(30ms)); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(s.db.get("a"), "alive");
    EXPECT_EQ(s.db.stats().disconnects, 1U);
}

TEST(redis_client, never_shows_the_password_even_if_the_server_repeats_it) {
    fake_redis server([&](fake_session& peer) {
        if (const std::string asked = peer.command(); !asked.empty()) {
            peer.say("-ERR unknown command '" + asked + "'\r\n");
            peer.wait_for_the_end();
        }
    });
    setup s(server.port(), {.password = "s3cret", .command_timeout = 100ms});
    const auto failed = error_of<error>([&] { return s.db.get("a"); });
    ASSERT_TRUE(failed);
    EXPECT_EQ(std::string(failed->what()).find("s3cret"), std::string::npos) << failed->what();
    EXPECT_NE(std::string(failed->what()).find("***"), std::string::npos) << failed->what();
}

// Its completions run elsewhere, on an executor that outlives the client's: nothing of theirs may be left in
// them.
TEST(redis_client, ends_what_waits_when_it_is_destroyed) {
    asio::thread_pool elsewhere(1);
    for (int round = 0; round < 3; ++round) {
        std::promise<void> is_sent;
        fake_redis server([&](fake_session& peer) {
            if (peer.greet() && !peer.command().empty()) {
                is_sent.set_value();
                peer.wait_for_the_end();
            }
        });
        std::promise<void> ended;
        asio::cancellation_signal never;
        std::promise<std::exception_ptr> waits;
        {
            setup s(server.port(), {.command_timeout = 60s});
            const auto handler = [&](std::exception_ptr why, const std::optional<std::string>&) {
                waits.set_value(std::move(why));
            };
            s.db.async_get("a", asio::bind_cancellation_slot(
                                    never.slot(), asio::bind_executor(elsewhere.get_executor(), handler)));
            is_sent.get_future().wait();
            asio::post(elsewhere, [&ended] { ended.get_future().wait(); });
        }
        ended.set_value();  // so that the completion comes after the client and its runtime
        const auto failed = error_of<error>([&] {
            std::rethrow_exception(waits.get_future().get());
            return 0;
        });
        ASSERT_TRUE(failed);
        EXPECT_EQ(failed->code(), levee::errc::closed);
    }
    elsewhere.join();
}

// The coroutine keeps the client, whose connection keeps the request, which keeps the coroutine.
TEST(redis_client, is_let_go_with_its_executor_when_what_waits_for_it_keeps_it) {
    std::promise<void> sent;
    fake_redis server([&](fake_session& peer) {
        if (peer.greet() && !peer.command().empty()) {
            sent.set_value();
            peer.wait_for_the_end();
        }
    });
    for (const bool is_begun : {true, false}) {
        auto context = std::make_unique<asio::io_context>();
        auto db = std::make_shared<client>(client_options{
            .port = server.port(), .executor = context->get_executor(), .command_timeout = 60s});
        const std::weak_ptr<client> left = db;
        const auto ask = [](std::shared_ptr<client> at) -> asio::awaitable<void> {
            static_cast<void>(co_await at->async_get("a", asio::use_awaitable));
        };
        asio::co_spawn(*context, ask(std::move(db)), asio::detached);
        if (is_begun) {
            auto is_sent = sent.get_future();
            while (is_sent.wait_for(0s) != std::future_status::ready) {
                context->run_one_for(10ms);
            }
        } else {
            context->run_one();  // the request stands, its connection is not even begun
        }
        EXPECT_FALSE(left.expired());
        context.reset();
        EXPECT_TRUE(left.expired());
    }
}

TEST(redis_client, refuses_to_block_its_own_executor) {
    setup s(tests::free_port());
    std::promise<std::error_code> code;
    asio::post(s.rt.get_executor(), [&] {
        const auto failed = error_of<error>([&] { return s.db.get("a"); });
        code.set_value(failed ? failed->code() : std::error_code());
    });
    EXPECT_EQ(code.get_future().get(), levee::errc::would_deadlock);
}

TEST(redis_client, sends_nothing_for_an_empty_list_of_keys) {
    setup s(tests::free_port());
    EXPECT_TRUE(s.db.get_many(std::vector<std::string>{}).empty());
    EXPECT_EQ(s.db.erase_many(std::vector<std::string>{}), 0U);
    EXPECT_TRUE(s.db.execute(pipeline()).empty());
    EXPECT_TRUE(s.db.async_get_many(std::vector<std::string>{}, asio::use_future).get().empty());
}

TEST(redis_client, gives_its_io_context_free_when_nothing_waits) {
    fake_redis server([&](fake_session& peer) {
        if (peer.greet()) {
            while (!peer.command().empty()) {
                peer.say(bulk("value"));
            }
        }
    });
    asio::io_context context;
    client db({.port = server.port(), .executor = context.get_executor(), .command_timeout = 20ms});
    std::optional<std::string> got;
    db.async_get(
        "a", [&](const std::exception_ptr&, std::optional<std::string> value) { got = std::move(value); });
    context.run();
    EXPECT_EQ(got, "value");
}

}  // namespace
}  // namespace levee::redis
