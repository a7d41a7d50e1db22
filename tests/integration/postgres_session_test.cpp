// A session and what it does on its own account: cleaning, forgetting statements, closing.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "levee/async/runtime.hpp"
#include "levee/postgres/connection.hpp"
#include "levee/postgres/pool.hpp"
#include "postgres/establish.hpp"
#include "support/code_of.hpp"
#include "support/polling.hpp"
#include "support/postgres_fixture.hpp"

namespace levee::postgres {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_future;
using tests::code_of;
using tests::comes_true;
using tests::postgres_connection;
using tests::postgres_pool;

/// A clock that a test moves.
class moved_time final : public async::scheduler {
public:
    explicit moved_time(asio::any_io_executor executor)
        : executor_(executor), real_(async::steady_scheduler(std::move(executor))) {}

    void move(duration by) { since_start_ += by.count(); }
    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }
    [[nodiscard]] time_point now() const noexcept override { return time_point(duration(since_start_)); }
    [[nodiscard]] asio::awaitable<void> sleep_until(time_point until) override {
        do {
            co_await real_->sleep_until(after(real_->now(), 1ms));
        } while (now() < until);
    }

private:
    asio::any_io_executor executor_;
    std::shared_ptr<async::scheduler> real_;
    std::atomic<duration::rep> since_start_ = duration(1s).count();
};

TEST_F(postgres_connection, leaves_the_server_when_it_is_closed) {
    connection db(options());
    EXPECT_EQ(db.query("SELECT 1").value<int>(), 1);
    const int process = db.facts().process;
    db.close();
    EXPECT_TRUE(comes_true([&] {
        return shared_server().execute("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                                       std::to_string(process)) == "0";
    }));
    EXPECT_EQ(db.facts().process, process);
    EXPECT_FALSE(db.is_usable());
    EXPECT_EQ(code_of([&] { db.query("SELECT 1"); }), levee::errc::closed);
}

}  // namespace
}  // namespace levee::postgres
