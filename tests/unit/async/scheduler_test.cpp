#include "levee/async/scheduler.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "levee/core/error.hpp"

namespace levee::async {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

TEST(the_steady_scheduler, wakes_no_earlier_than_asked) {
    asio::io_context context;
    const auto scheduler = steady_scheduler(context.get_executor());
    const time_point until = scheduler->now() + 2ms;
    bool is_awake = false;
    asio::co_spawn(context, scheduler->sleep_until(until), [&](std::exception_ptr failure) {
        is_awake = failure == nullptr && scheduler->now() >= until;
    });
    context.run();
    EXPECT_TRUE(is_awake);
}

TEST(the_steady_scheduler, does_not_sleep_until_what_is_past) {
    asio::io_context context;
    const auto scheduler = steady_scheduler(context.get_executor());
    bool is_awake = false;
    asio::co_spawn(context, scheduler->sleep_until((time_point::min)()),
                   [&](std::exception_ptr failure) { is_awake = failure == nullptr; });
    context.run();
    EXPECT_TRUE(is_awake);
}

TEST(the_steady_scheduler, ends_a_cancelled_sleep_with_its_own_error) {
    asio::io_context context;
    const auto scheduler = steady_scheduler(context.get_executor());
    asio::cancellation_signal signal;
    std::error_code code;
    asio::co_spawn(context, scheduler->sleep_until((time_point::max)()),
                   asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure) {
                       try {
                           std::rethrow_exception(failure);
                       } catch (const error& e) {
                           code = e.code();
                       }
                   }));
    context.poll();
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    EXPECT_EQ(code, errc::cancelled);
}

}  // namespace
}  // namespace levee::async
