/// How far a replay need not look: the marks that releases leave.
#include <gtest/gtest.h>

#include <memory>

#include "journal_support.hpp"
#include "levee/testing/manual_clock.hpp"

namespace levee::tests {
namespace {

struct a_marked_journal : ::testing::Test {
    [[nodiscard]] journal_options options() const {
        auto made = on(std::make_shared<power_loss_files>());
        made.clock = &time;
        return made;
    }
    [[nodiscard]] journal_stats stats() const { return one.log->stats(); }
    void write_a_mark() {
        time.advance(1s);
        one.log->run_sync();
    }

    levee::testing::manual_clock time;
    opened one{options()};
};

TEST_F(a_marked_journal, tells_which_mark_is_on_the_medium) {
    one.put_safely("a");
    one.put_safely("b");
    one.log->release(1);
    EXPECT_EQ(stats().released_through, 1U);
    EXPECT_EQ(stats().marked_through, 0U);
    write_a_mark();
    EXPECT_EQ(stats().marked_through, 0U);  // written, and not synced
    one.put_safely("c");
    EXPECT_EQ(stats().marked_through, 1U);
    one.log->release(2);
    one.log->release(3);
    one.log->close();
    EXPECT_EQ(stats().marked_through, 3U);
}

TEST_F(a_marked_journal, syncs_at_its_close_a_mark_that_was_only_written) {
    one.put_safely("a");
    one.log->release(1);
    write_a_mark();
    const auto before = stats().syncs;
    one.log->close();
    EXPECT_EQ(stats().syncs, before + 1);
    EXPECT_EQ(stats().marked_through, 1U);
}

}  // namespace
}  // namespace levee::tests
