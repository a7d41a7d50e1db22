/// A factory of dummy connections that can delay, hang and fail, on any scheduler; and what tests of pools
/// in virtual time share.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/pool/connection_pool.hpp"
#include "levee/testing/simulation.hpp"

namespace levee::test {

struct dummy {
    int number = 0;
    bool is_broken = false;
    bool is_dirty = false;
    std::set<int>* living = nullptr;

    dummy(int n, std::set<int>& all) : number(n), living(&all) { living->insert(n); }
    dummy(const dummy&) = delete;
    dummy& operator=(const dummy&) = delete;
    ~dummy() { living->erase(number); }
};

class stub_factory final : public connection_factory<dummy> {
public:
    explicit stub_factory(std::shared_ptr<async::scheduler> time) : time_(std::move(time)) {}

    boost::asio::awaitable<std::unique_ptr<dummy>> async_connect() override {
        begun.push_back(time_->now());
        const int number = ++last;
        co_await time_->sleep_until(after(time_->now(), connect_takes));
        if (is_down) {
            throw std::runtime_error("no route to host");
        }
        co_return std::make_unique<dummy>(number, living);
    }
    boost::asio::awaitable<bool> async_is_valid(dummy& connection) override {
        ++validations;
        co_await time_->sleep_until(after(time_->now(), validation_takes));
        co_return !connection.is_broken;
    }
    boost::asio::awaitable<void> async_reset(dummy& connection) override {
        ++resets;
        co_await time_->sleep_until(after(time_->now(), reset_takes));
        if (connection.is_broken) {
            throw std::runtime_error("cannot be reset");
        }
        connection.is_dirty = false;
    }
    [[nodiscard]] bool needs_reset(const dummy& connection) const noexcept override {
        return connection.is_dirty;
    }

    duration connect_takes{}, validation_takes{}, reset_takes{};
    bool is_down = false;
    int last = 0, validations = 0, resets = 0;
    std::vector<time_point> begun;
    std::set<int> living;

private:
    std::shared_ptr<async::scheduler> time_;
};

/// What became of an asynchronous acquire.
struct answer {
    bool is_there = false;
    std::exception_ptr failure{};
    pooled<dummy> connection{};
    duration after{};
    boost::asio::cancellation_signal cancel{};

    [[nodiscard]] std::optional<pool_failure> reason() const {
        try {
            if (failure) {
                std::rethrow_exception(failure);
            }
        } catch (const pool_error& e) {
            return e.reason();
        }
        return std::nullopt;
    }
    [[nodiscard]] std::string what() const {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& e) {
            return e.what();
        }
    }
};

struct pool_world {
    explicit pool_world(std::uint64_t seed = 1) : world(seed) {}

    void open(pool_options options) {
        options.scheduler = world.scheduler();
        options.seed = 7;
        pool = std::make_unique<connection_pool<dummy>>(factory, options);
    }

    /// Begins to acquire; the answer keeps the connection.
    std::shared_ptr<answer> ask(std::optional<duration> timeout = {}, holder_label label = "test") {
        auto result = std::make_shared<answer>();
        const time_point begun = world.now();
        auto handler = boost::asio::bind_executor(
            world.executor(), [this, result, begun](std::exception_ptr e, pooled<dummy> connection) {
                result->is_there = true;
                result->failure = std::move(e);
                result->connection = std::move(connection);
                result->after = world.now() - begun;
            });
        pool->async_acquire(timeout.value_or(pool->options().acquire_timeout),
                            boost::asio::bind_cancellation_slot(result->cancel.slot(), std::move(handler)),
                            label);
        return result;
    }

    testing::simulation world;
    std::shared_ptr<stub_factory> factory = std::make_shared<stub_factory>(world.scheduler());
    std::unique_ptr<connection_pool<dummy>> pool;
};

struct pool_test : ::testing::Test, pool_world {
    /// Acquires, holds, gives back.
    boost::asio::awaitable<void> use(duration hold, std::vector<duration>& waits) {
        const time_point begun = world.now();
        const auto connection = co_await pool->async_acquire(boost::asio::use_awaitable);
        waits.push_back(world.now() - begun);
        co_await world.scheduler()->sleep_until(world.now() + hold);
    }
};

}  // namespace levee::test
