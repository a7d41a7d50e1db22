// Threads and coroutines on one pool and on shared sessions, while wires are cut and sessions ended: for the
// thread sanitizer, and for what is left behind.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/postgres/pool.hpp"
#include "support/postgres_fixture.hpp"
#include "support/postgres_random_operations.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

class postgres_stress : public tests::postgres_fixture, public testing::WithParamInterface<std::size_t> {
protected:
    [[nodiscard]] pool_options options() {
        return {.connection = to(shared_server().uri()),
                .pool = {.max_size = 4, .backoff = {.initial = 1ms, .max = 10ms}},
                .multiplexed = GetParam()};
    }
};

TEST_P(postgres_stress, random_operations_with_faults_leave_no_connection_dirty) {
    tests::run_random_operations(shared_server(), options(), 800);
}

TEST_P(postgres_stress, every_answer_is_its_own_callers_also_after_time_outs_and_cancellations) {
    pool db(options());
    std::atomic<int> right = 0;
    std::atomic<int> wrong = 0;
    std::atomic<int> abandoned = 0;
    const auto count = [&](int asked, const std::exception_ptr& failed, const result& answer) {
        if (!failed) {
            ++(answer[0].get<int>(0) == asked ? right : wrong);
            return;
        }
        try {
            std::rethrow_exception(failed);
        } catch (const levee::error& e) {  // of the pool, too
            ++(e.code() == levee::errc::timeout || e.code() == levee::errc::cancelled ? abandoned : wrong);
        } catch (...) {
            ++wrong;
        }
    };
    const auto ask = [&](int caller) -> asio::awaitable<void> {
        for (int i = 0; i < 100; ++i) {
            const int number = caller * 1000 + i;
            statement one("SELECT $1::int, pg_sleep($2)", number, i % 20 == 7 ? 0.01 : 0.0);
            one.timeout = i % 20 == 7 && caller % 2 == 0 ? duration(2ms) : duration(10s);
            std::exception_ptr failed;
            result answer;
            try {
                auto work = db.async_query(std::move(one), asio::use_awaitable);
                answer = co_await std::move(work);
            } catch (...) {
                failed = std::current_exception();
            }
            count(number, failed, answer);
        }
    };
    std::vector<std::future<void>> all;
    for (int caller = 0; caller < 16; ++caller) {
        all.push_back(asio::co_spawn(asio::make_strand(rt_.get_executor()), ask(caller), asio::use_future));
    }
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100; ++i) {
                const int number = 100'000 + t * 1000 + i;
                std::exception_ptr failed;
                result answer;
                try {
                    answer = db.query(statement("SELECT $1::int, pg_sleep(0.001)", number)
                                          .within(i % 10 == 3 ? duration(500us) : duration(10s)));
                } catch (...) {
                    failed = std::current_exception();
                }
                count(number, failed, answer);
            }
        });
    }
    threads.clear();
    for (auto& each : all) {
        each.get();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(right + abandoned, 16 * 100 + 2 * 100);
    EXPECT_GT(right, 1000);
    EXPECT_GT(abandoned, 0);
}

INSTANTIATE_TEST_SUITE_P(multiplexed, postgres_stress, testing::Values(0U, 2U),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace levee::postgres
