#include "journal/gathering_window.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>

namespace levee::journal_detail {
namespace {

using namespace std::chrono_literals;

TEST(gathering_window, a_lone_writer_waits_for_nobody) {
    gathering_window w;
    EXPECT_EQ(w.next(1).within, 0ns);  // before anything is known
    for (int i = 0; i < 10; ++i) {
        w.synced(100us, 1);
        EXPECT_EQ(w.next(1).within, 0ns);
    }
}

TEST(gathering_window, a_leader_waits_for_those_who_were_there_for_half_a_sync_at_most) {
    gathering_window w;
    w.synced(100us, 8);
    const auto plan = w.next(5);
    EXPECT_EQ(plan.until, 8U);
    EXPECT_EQ(plan.within, 50us);
    EXPECT_EQ(w.next(8).within, 0ns);  // they are back
}

TEST(gathering_window, waits_a_millisecond_at_most) {
    gathering_window w;
    w.synced(1s, 8);
    EXPECT_EQ(w.next(1).within, 1ms);
}

TEST(gathering_window, waits_ever_more_rarely_for_writers_who_do_not_come) {
    gathering_window w;
    std::size_t waits = 0;
    for (int i = 0; i < 2048; ++i) {
        w.synced(100us, 8);  // threads that do other things as well: they are back when it is over
        if (w.next(4).within > 0ns) {
            ++waits;
            w.ended(false);
        }
    }
    EXPECT_GE(waits, 8U);
    EXPECT_LE(waits, 16U);
    while (w.next(4).within == 0ns) {
    }
    w.ended(true);
    EXPECT_GT(w.next(4).within, 0ns);  // they come: each time from now on
    w.ended(false);
    EXPECT_EQ(w.next(4).within, 0ns);
    EXPECT_EQ(w.next(4).within, 0ns);
    EXPECT_GT(w.next(4).within, 0ns);
}

}  // namespace
}  // namespace levee::journal_detail
