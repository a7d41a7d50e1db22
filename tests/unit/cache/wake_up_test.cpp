#include "levee/cache/detail/wake_up.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>

#include "levee/testing/simulation.hpp"

namespace levee::cache_detail {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Runs everything at once, on the thread that asks for it, even from within a handler's initiation.
struct at_once {
    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t /*p*/) noexcept {
        return asio::execution::blocking.never;  // it says
    }
    [[nodiscard]] at_once require(asio::execution::blocking_t::never_t /*p*/) const noexcept { return *this; }
    [[nodiscard]] asio::execution_context& query(asio::execution::context_t /*p*/) const noexcept {
        return *context;
    }
    template <class Function>
    void execute(Function&& function) const {
        std::decay_t<Function> once(std::forward<Function>(function));
        std::move(once)();
    }
    friend bool operator==(const at_once&, const at_once&) noexcept = default;
    asio::execution_context* context;
};

// Whoever wakes it may run the coroutine to its end, and its slot is gone then: nothing of the sleeper's may
// be touched any more. (A sanitizer sees it.)
TEST(wake_up, a_sleeper_is_whole_before_anybody_can_wake_it) {
    asio::execution_context context;
    const auto bell = std::make_shared<wake_up>();
    bell->notify();
    bool is_awake = false;
    auto stop = std::make_unique<asio::cancellation_signal>();
    const auto slot = stop->slot();
    asio::co_spawn(asio::any_io_executor(at_once{&context}), wake_up::async_wait(bell),
                   asio::bind_cancellation_slot(slot, [&](const std::exception_ptr& why) {
                       is_awake = why == nullptr;
                       stop.reset();
                   }));
    EXPECT_TRUE(is_awake);
}

TEST(wake_up, rings_at_the_time_asked_for_last_and_leaves_no_timer_behind) {
    testing::simulation world(1);
    auto bell = std::make_shared<wake_up>();
    bell->notify_at(world.scheduler(), world.now() + 1h);
    bell->notify_at(world.scheduler(), world.now() + 1s);
    bool is_awake = false;
    asio::co_spawn(world.executor(), wake_up::async_wait(bell),
                   [&](const std::exception_ptr&) { is_awake = true; });
    world.run_for(999ms);
    EXPECT_FALSE(is_awake);
    EXPECT_EQ(world.sleeping(), 1U);
    world.run_for(1ms);
    EXPECT_TRUE(is_awake);
    EXPECT_EQ(world.sleeping(), 0U);
    bell->notify_at(world.scheduler(), world.now() + 1h);
    world.run_for(1ms);
    bell->notify_never();
    world.run_for(1ms);
    EXPECT_EQ(world.sleeping(), 0U);
    bell->notify_at(world.scheduler(), world.now() + 1h);
    bell.reset();
    world.run_for(1ms);
    EXPECT_EQ(world.sleeping(), 0U);
}

}  // namespace
}  // namespace levee::cache_detail
