#include "async/deadline_guard.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>

#include "levee/testing/simulation.hpp"

namespace levee::async {
namespace {

using namespace std::chrono_literals;

TEST(a_deadline_guard, stops_what_still_waits_at_its_deadline) {
    testing::simulation world(1);
    time_point stopped{};
    const time_point until = world.now() + 3s;
    const deadline_guard guard(world.executor(), world.scheduler(), until, [&] { stopped = world.now(); });
    EXPECT_FALSE(guard.has_passed());
    world.run();
    EXPECT_TRUE(guard.has_passed());
    EXPECT_EQ(stopped, until);
}

TEST(a_deadline_guard, that_is_gone_stops_nothing_and_leaves_nobody_asleep) {
    testing::simulation world(2);
    bool has_stopped = false;
    {
        const deadline_guard guard(world.executor(), world.scheduler(), world.now() + 3s,
                                   [&] { has_stopped = true; });
        world.run_for(1s);
    }
    world.run_for(0s);
    EXPECT_EQ(world.sleeping(), 0U);
    world.run();
    EXPECT_FALSE(has_stopped);
}

TEST(a_deadline_guard, outlives_nothing_it_needs) {
    // Its wait ends after it: by its cancellation, before it has begun, and with the context.
    for (const bool has_begun : {true, false}) {
        for (const bool is_run : {true, false}) {
            auto context = std::make_unique<boost::asio::io_context>();
            auto time = steady_scheduler(context->get_executor());
            const auto kept = std::make_shared<int>(0);
            std::optional<deadline_guard> guard;
            guard.emplace(context->get_executor(), time, time->now() + 1h, [kept] {});
            time = nullptr;
            if (has_begun) {
                context->poll();
                context->restart();
            }
            guard.reset();
            EXPECT_EQ(kept.use_count(), 1) << "what it was to stop may be gone by now";
            if (is_run) {
                context->run();
            }
        }
    }
}

}  // namespace
}  // namespace levee::async
