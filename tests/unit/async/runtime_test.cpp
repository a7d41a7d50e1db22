#include "levee/async/runtime.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "levee/async/blocking.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;

TEST(a_runtime, runs_what_is_posted_to_either_executor_on_threads_of_its_own) {
    runtime threads(2, 2);
    const auto here = std::this_thread::get_id();
    for (const auto& executor : {threads.get_executor(), threads.blocking_executor()}) {
        std::promise<std::thread::id> ran;
        asio::post(executor, [&] { ran.set_value(std::this_thread::get_id()); });
        EXPECT_NE(ran.get_future().get(), here);
    }
}

TEST(a_runtime, has_as_many_threads_as_it_was_asked_for) {
    runtime threads(3, 2);
    std::latch all(3 + 1);
    for (int i = 0; i < 3; ++i) {
        asio::post(threads.get_executor(), [&] { all.arrive_and_wait(); });
    }
    all.arrive_and_wait();  // passes only if three handlers run at the same time
    std::latch both(2 + 1);
    for (int i = 0; i < 2; ++i) {
        asio::post(threads.blocking_executor(), [&] { both.arrive_and_wait(); });
    }
    both.arrive_and_wait();
}

TEST(a_runtime, waits_for_running_handlers_and_destroys_those_that_wait) {
    std::atomic<bool> has_ended = false;
    const auto token = std::make_shared<int>();
    {
        runtime threads(1, 1);
        std::latch runs(1);
        std::latch go(1);
        asio::post(threads.get_executor(), [&] {
            runs.count_down();
            go.wait();
            has_ended = true;
        });
        runs.wait();
        asio::post(threads.get_executor(), [token] {});
        asio::post(threads.get_executor(), [&go, token] { go.wait(); });
        go.count_down();
    }
    EXPECT_TRUE(has_ended);
    EXPECT_EQ(token.use_count(), 1);
}

TEST(a_runtime, refuses_no_threads_and_too_many) {
    const auto complaint = [](std::size_t threads, std::size_t blocking) -> std::string {
        try {
            const runtime never(threads, blocking);
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
        return "accepted";
    };
    EXPECT_EQ(complaint(0, 1), "runtime: threads is 0; it must be in [1, 1024]");
    EXPECT_EQ(complaint(1, 0), "runtime: blocking_threads is 0; it must be in [1, 1024]");
    EXPECT_EQ(complaint(1, 1025), "runtime: blocking_threads is 1025; it must be in [1, 1024]");
}

TEST(a_thread, is_recognised_as_running_a_context_through_strands_and_properties) {
    asio::io_context context;
    asio::thread_pool pool(1);
    const asio::any_io_executor plain = context.get_executor();
    const auto seen_from = [](const auto& executor, const asio::any_io_executor& asked) {
        std::promise<bool> answer;
        asio::post(executor, [&] { answer.set_value(async::runs_on_this_thread(asked)); });
        if constexpr (requires { executor.context().poll(); }) {
            executor.context().restart();
            executor.context().poll();
        }
        return answer.get_future().get();
    };
    const auto inside = context.get_executor();
    EXPECT_FALSE(async::runs_on_this_thread(plain));
    EXPECT_FALSE(async::runs_on_this_thread({}));
    EXPECT_TRUE(seen_from(inside, plain));
    EXPECT_TRUE(seen_from(inside, asio::make_strand(plain)));
    EXPECT_TRUE(seen_from(inside, asio::make_strand(context)));
    EXPECT_TRUE(seen_from(inside, asio::make_strand(asio::any_io_executor(asio::make_strand(plain)))));
    EXPECT_TRUE(seen_from(inside, asio::prefer(plain, asio::execution::outstanding_work.tracked)));
    EXPECT_TRUE(seen_from(inside, asio::require(plain, asio::execution::blocking.never)));
    EXPECT_FALSE(seen_from(inside, pool.get_executor()));
    EXPECT_TRUE(seen_from(asio::any_io_executor(pool.get_executor()), pool.get_executor()));
    EXPECT_FALSE(seen_from(asio::any_io_executor(pool.get_executor()), plain));
}

TEST(an_awaitable, is_driven_to_its_end_on_this_thread) {
    const auto here = std::this_thread::get_id();
    const auto work = [](std::thread::id expected) -> asio::awaitable<std::string> {
        EXPECT_EQ(std::this_thread::get_id(), expected);
        co_await asio::post(asio::use_awaitable);
        EXPECT_EQ(std::this_thread::get_id(), expected);
        co_return "done";
    };
    EXPECT_EQ(async::run_on_this_thread(work(here)), "done");
    const auto failing = []() -> asio::awaitable<void> {
        co_await asio::post(asio::use_awaitable);
        throw std::runtime_error("failed");
    };
    EXPECT_THROW(async::run_on_this_thread(failing()), std::runtime_error);
    const auto failing_value = []() -> asio::awaitable<int> {
        throw std::runtime_error("failed");
        co_return 1;
    };
    EXPECT_THROW(static_cast<void>(async::run_on_this_thread(failing_value())), std::runtime_error);
}

}  // namespace
}  // namespace levee
