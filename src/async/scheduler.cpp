#include "levee/async/scheduler.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::async {
namespace {

namespace asio = boost::asio;

class real_time final : public scheduler {
public:
    explicit real_time(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }

    [[nodiscard]] time_point now() const noexcept override { return clock::precise().now(); }

    [[nodiscard]] asio::awaitable<void> sleep_until(time_point until) override {
        // On the coroutine's own executor, so that a strand stays a strand.
        asio::steady_timer timer(co_await asio::this_coro::executor, until);
        boost::system::error_code failure;
        auto token = asio::redirect_error(asio::use_awaitable, failure);
        co_await timer.async_wait(token);
        if (failure == asio::error::operation_aborted) {
            throw error(errc::cancelled);
        }
        if (failure) {
            throw error(std::error_code(failure), "waiting on a timer");
        }
    }

private:
    asio::any_io_executor executor_;
};

}  // namespace

std::shared_ptr<scheduler> steady_scheduler(asio::any_io_executor executor) {
    return std::make_shared<real_time>(std::move(executor));
}

}  // namespace levee::async
