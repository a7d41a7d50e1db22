/// A clock that stands, for what must not depend on a scheduler's.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "levee/async/scheduler.hpp"

namespace levee::tests {

/// It is always the same moment, long ago, and nobody ever wakes but by cancellation.
class standing_time final : public async::scheduler {
public:
    explicit standing_time(boost::asio::any_io_executor executor)
        : executor_(executor), real_(async::steady_scheduler(std::move(executor))) {}

    [[nodiscard]] boost::asio::any_io_executor executor() const override { return executor_; }
    [[nodiscard]] time_point now() const noexcept override { return time_point(std::chrono::seconds(1)); }
    [[nodiscard]] boost::asio::awaitable<void> sleep_until(time_point /*until*/) override {
        return real_->sleep_until((time_point::max)());
    }

private:
    boost::asio::any_io_executor executor_;
    std::shared_ptr<async::scheduler> real_;
};

}  // namespace levee::tests
