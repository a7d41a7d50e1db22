// What write-behind does about writes that the source fails: again, alone, superseded, given up.
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "write_behind_support.hpp"

namespace levee {
namespace {

using namespace tests;

TEST(write_behind_failures, a_newer_write_supersedes_the_older_that_fails) {
    bench b({.flush_interval = 0s, .batch_attempts = 1, .permanent_attempts = 5});
    b.db->refuse_row = [](const text_op& op) {
        return op.value == "bad" ? failure(errc::invalid_data) : nullptr;
    };
    b.db->before_store = [&](const std::vector<text_op>&) -> boost::asio::awaitable<void> {
        co_await b.world.scheduler()->sleep_until(b.world.now() + 1s);
    };
    b.cache.put(1, "bad");
    b.world.run_for(500ms);
    b.cache.put(1, "good");
    b.world.run_for(10s);
    EXPECT_EQ(b.db->rows.at(1), "good");
    EXPECT_EQ(b.cache.stats().superseded, 1U);
    EXPECT_TRUE(b.cache.dead_letters().empty());
}

TEST(write_behind_failures, a_newer_write_takes_the_place_of_one_that_waits_for_another_attempt) {
    bench b({.flush_interval = 0s, .backoff = {.initial = 1h, .max = 1h, .jitter = backoff_jitter::none}});
    b.db->refuse_row = [](const text_op& op) {
        return op.value == "bad" ? std::make_exception_ptr(std::runtime_error("deadlock")) : nullptr;
    };
    b.cache.put(1, "bad");
    b.world.run_for(1s);
    EXPECT_EQ(b.cache.try_get(1), "bad");
    b.cache.put(1, "good");
    b.world.run_for(1s);
    EXPECT_EQ(b.db->rows.at(1), "good");
}

TEST(write_behind_failures, an_outage_delays_everything_and_loses_nothing) {
    bench b({.flush_interval = 10ms, .batch_size = 4, .batch_attempts = 1, .max_attempts = 1});
    bool is_down = true;
    b.db->refuse = [&](const text_op&) {
        if (is_down) {
            throw error(errc::unavailable, "scripted outage");
        }
    };
    for (int key = 0; key < 20; ++key) {
        b.cache.put(key, "v");
    }
    b.world.run_for(1h);
    EXPECT_EQ(b.cache.stats().pending, 20U);
    EXPECT_EQ(b.cache.stats().dead_letters, 0U);
    // Backed off, and not one attempt for each batch: an hour has 720 times 5 s, half of them on average.
    EXPECT_LT(b.db->batches.size(), 3000U);
    is_down = false;
    b.world.run_for(30s);
    EXPECT_EQ(b.db->rows.size(), 20U);
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind_failures, finds_a_poison_row_by_splitting_and_gives_up_that_one_alone) {
    std::vector<int> lost;
    bench b({.flush_interval = 10ms,
             .on_dead_letter =
                 [&](const dead_letter<int, std::string>& each) { lost.push_back(each.operation.key); },
             .backoff = {.initial = 10ms, .max = 100ms},
             .batch_attempts = 2,
             .max_attempts = 4});
    std::size_t attempts_alone = 0;
    b.db->refuse = [&](const text_op& op) {
        if (op.key == 13) {
            attempts_alone += b.db->batches.back().size() == 1 ? 1 : 0;
            throw std::runtime_error("poison");
        }
    };
    for (int key = 0; key < 64; ++key) {
        b.cache.put(key, "v");
    }
    b.world.run_for(10s);
    EXPECT_EQ(b.db->rows.size(), 63U);
    EXPECT_EQ(lost, (std::vector<int>{13}));
    EXPECT_EQ(attempts_alone, 4U);
    const auto kept = b.cache.dead_letters();
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept[0].reason, "poison");
    EXPECT_EQ(b.cache.stats().dead_letters, 1U);
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

TEST(write_behind_failures, a_permanent_failure_of_a_row_is_given_up_at_once) {
    bench b({.flush_interval = 10ms});
    b.db->refuse_row = [](const text_op& op) { return op.key == 2 ? failure(errc::invalid_data) : nullptr; };
    b.cache.put_many({{1, "a"}, {2, "b"}, {3, "c"}});
    b.world.run_for(1s);
    EXPECT_EQ(b.db->batches.size(), 1U);
    EXPECT_EQ(b.db->rows.size(), 2U);
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(b.cache.dead_letters()[0].code, errc::invalid_data);
}

TEST(write_behind_failures, redrives_a_dead_letter_unless_a_newer_write_came) {
    bench b({.flush_interval = 10ms});
    bool is_broken = true;
    b.db->refuse_row = [&](const text_op&) { return is_broken ? failure(errc::invalid_data) : nullptr; };
    b.cache.put(1, "a");
    b.cache.put(2, "b");
    b.world.run_for(1s);
    ASSERT_EQ(b.cache.dead_letters().size(), 2U);
    is_broken = false;
    b.cache.put(2, "newer");
    EXPECT_TRUE(b.cache.dead_letters()[1].is_superseded);
    EXPECT_EQ(b.cache.redrive_all(), 1U);
    b.world.run_for(1s);
    EXPECT_EQ(b.db->rows, (std::map<int, std::string>{{1, "a"}, {2, "newer"}}));
    ASSERT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_TRUE(b.cache.discard(b.cache.dead_letters()[0].id));
    EXPECT_FALSE(b.cache.redrive(99));
}

TEST(write_behind_failures, gives_nothing_up_while_the_dead_letters_are_full) {
    bench b({.flush_interval = 10ms, .max_dead_letters = 1});
    b.db->refuse_row = [](const text_op&) { return failure(errc::invalid_data); };
    b.cache.put(1, "a");
    b.world.run_for(1s);
    b.cache.put(2, "b");
    b.world.run_for(1min);
    EXPECT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(b.cache.try_get(2), "b");
    EXPECT_TRUE(b.cache.discard(b.cache.dead_letters()[0].id));
    b.world.run_for(1min);
    EXPECT_EQ(b.cache.dead_letters().size(), 1U);
    EXPECT_EQ(b.cache.stats().pending, 0U);
}

}  // namespace
}  // namespace levee
