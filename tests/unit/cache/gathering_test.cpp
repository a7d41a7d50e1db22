// Who takes part in one call of a bulk loader: the decision alone.
#include "levee/cache/detail/gathering.hpp"

#include <gtest/gtest.h>

namespace levee::cache_detail {
namespace {

TEST(gathering, is_complete_when_it_is_sealed_and_nobody_is_missing) {
    gathering g;
    g.expect();
    g.expect();
    g.expect();
    EXPECT_FALSE(g.arrive()) << "more may come";
    EXPECT_FALSE(g.seal());
    EXPECT_FALSE(g.depart());
    EXPECT_TRUE(g.arrive());
    EXPECT_EQ(g.arrived(), 2U);
}

TEST(gathering, is_completed_by_the_seal_when_all_have_come_before) {
    gathering g;
    g.expect();
    EXPECT_FALSE(g.arrive());
    EXPECT_TRUE(g.seal());
}

TEST(gathering, of_those_who_all_departed_has_nobody_to_load_for) {
    gathering g;
    g.expect();
    EXPECT_FALSE(g.seal());
    EXPECT_TRUE(g.depart());
    EXPECT_EQ(g.arrived(), 0U);
}

}  // namespace
}  // namespace levee::cache_detail
