#include "levee/monitor/scoped_timer.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using levee::percentile_monitor;
using levee::scoped_timer;

struct scoped_timers : testing::Test {
    levee::test::manual_clock_stub clock;
    percentile_monitor monitor{{.clock = &clock}};
    percentile_monitor::handle op = monitor.operation("op");
};

TEST_F(scoped_timers, count_the_time_that_they_lived) {
    {
        const scoped_timer timer(op);
        clock.advance(3ms);
        EXPECT_EQ(timer.elapsed(), 3ms);
        EXPECT_EQ(monitor.stats("op").count, 0u) << "not before the end";
    }
    EXPECT_EQ(monitor.stats("op").count, 1u);
    EXPECT_EQ(monitor.stats("op").max, 3ms);
}

TEST_F(scoped_timers, count_as_failures_when_told_so_or_destroyed_by_an_exception) {
    {
        scoped_timer timer(op);
        timer.fail();
    }
    EXPECT_EQ(monitor.stats("op").failures, 1u);
    try {
        const scoped_timer timer(op);
        throw std::runtime_error("the call");
    } catch (const std::runtime_error&) {
        const scoped_timer handled(op);  // made and ended while an exception is handled
    }
    EXPECT_EQ(monitor.stats("op").failures, 2u);
    EXPECT_EQ(monitor.stats("op").count, 1u);
}

TEST_F(scoped_timers, made_while_an_exception_unwinds_count_as_successes) {
    struct cleanup {
        percentile_monitor::handle op;
        ~cleanup() { const scoped_timer timer(op); }
    };
    try {
        const cleanup at_end{op};
        throw std::runtime_error("the call");
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(monitor.stats("op").failures, 0u);
    EXPECT_EQ(monitor.stats("op").count, 1u);
}

TEST_F(scoped_timers, count_nothing_when_discarded) {
    {
        scoped_timer timer(op);
        timer.fail();
        timer.discard();
    }
    EXPECT_EQ(monitor.stats("op").count + monitor.stats("op").failures, 0u);
}

}  // namespace
