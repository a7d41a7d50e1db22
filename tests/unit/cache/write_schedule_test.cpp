#include "levee/cache/detail/write_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "levee/cache/detail/pending_writes.hpp"
#include "levee/cache/detail/write_record.hpp"
#include "levee/core/error.hpp"
#include "levee/core/hash.hpp"
#include "levee/core/random.hpp"

namespace levee::cache_detail {
namespace {

using namespace std::chrono_literals;

constexpr write_defences_off no_holes{};

using writes = pending_writes<int, int, hash<int>, std::equal_to<>>;

pending_write<int> put(int value, std::uint64_t sequence, time_point at = {}) {
    pending_write<int> made;
    made.value = value;
    made.sequence = made.oldest = sequence;
    made.since = at;
    made.size = 10;
    made.is_journaled = true;
    return made;
}

void accept(writes& to, int key, pending_write<int> made) {
    auto* held = to.find(key);
    to.accept(held, key, std::move(made));
}

const auto nothing = [](const pending_write<int>&) {};

TEST(pending_writes, a_replaced_write_is_covered_by_the_one_that_replaces_it) {
    writes w({}, no_holes);
    accept(w, 1, put(10, 1, time_point(1s)));
    accept(w, 1, put(11, 2, time_point(2s)));
    accept(w, 1, put(12, 5, time_point(3s)));
    const auto& newest = w.find(1)->newest();
    EXPECT_EQ(newest.value, 12);
    EXPECT_EQ(newest.covers, (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(newest.oldest, 1U);
    EXPECT_EQ(newest.since, time_point(1s));  // writing a key for ever does not keep it from being sent
}

TEST(pending_writes, a_key_is_never_in_two_batches) {
    writes w({.batch_size = 1}, no_holes);
    accept(w, 1, put(10, 1));
    auto first = w.take({}, true);
    ASSERT_TRUE(first);
    accept(w, 1, put(11, 2));
    EXPECT_FALSE(w.take({}, true));
    EXPECT_FALSE(w.land(writes::of(first->slots[0])));
    const auto second = w.take({}, true);
    ASSERT_TRUE(second);
    EXPECT_EQ(writes::of(second->slots[0]).flying->value, 11);
    EXPECT_TRUE(w.land(writes::of(second->slots[0])));
    EXPECT_TRUE(w.empty());
}

TEST(pending_writes, what_failed_is_superseded_and_its_record_kept_until_the_newer_one_is_done) {
    writes w({.batch_size = 4}, no_holes);
    accept(w, 1, put(10, 1));
    accept(w, 2, put(20, 2));
    auto batch = w.take({}, true);
    accept(w, 1, put(11, 3));
    std::vector<std::uint64_t> superseded;
    EXPECT_EQ(w.failed(std::move(*batch), write_failure::unavailable, {},
                       [&](const auto& older) { superseded.push_back(older.sequence); }),
              nullptr);
    EXPECT_EQ(superseded, (std::vector<std::uint64_t>{1}));
    EXPECT_EQ(w.find(1)->place, write_place::ready);
    EXPECT_EQ(w.find(2)->place, write_place::retrying);
    EXPECT_EQ(w.find(1)->waiting->covers, (std::vector<std::uint64_t>{1}));
}

// A plain map beside it: whatever is drawn, each key's writes reach the source in their order, and the last
// does.
TEST(pending_writes, agree_with_a_map_under_random_failures) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        xoshiro256 random(seed);
        writes w({.batch_size = 1 + uniform_below(random, 5),
                  .flush_interval = 5ms,
                  .batch_attempts = 1 + uniform_below(random, 3),
                  .max_attempts = 1'000'000,
                  .backoff = {.initial = 1ms, .max = 10ms},
                  .seed = seed},
                 no_holes);
        std::map<int, int> model;
        std::map<int, int> table;
        std::vector<write_batch> under_way;
        time_point now{};
        std::uint64_t sequence = 0;
        for (int i = 0; i < 400 || !w.empty(); ++i) {
            ASSERT_LT(i, 100'000) << "seed " << seed;
            now += std::chrono::milliseconds(uniform_below(random, 4));
            if (i < 400 && uniform_below(random, 3) != 0) {
                const int key = static_cast<int>(uniform_below(random, 6));
                model[key] = i;
                accept(w, key, put(i, ++sequence, now));
            }
            if (under_way.size() < 2) {
                if (auto batch = w.take(now, uniform_below(random, 10) == 0)) {
                    under_way.push_back(std::move(*batch));
                }
            }
            if (!under_way.empty() && uniform_below(random, 2) == 0) {
                write_batch batch = std::move(under_way.back());
                under_way.pop_back();
                if (i < 400 && uniform_below(random, 3) == 0) {
                    const auto kind = static_cast<write_failure>(uniform_below(random, 2));
                    EXPECT_EQ(w.failed(std::move(batch), kind, now, nothing), nullptr);
                    continue;
                }
                w.schedule().succeeded(batch.slots.size(), 1ms);
                for (write_slot* each : batch.slots) {
                    auto& at = writes::of(each);
                    auto& row = table[*at.key];
                    EXPECT_GT(*at.flying->value + 1, row) << "seed " << seed;
                    row = *at.flying->value;
                    w.land(at);
                }
            }
        }
        EXPECT_EQ(table, model) << "seed " << seed;
    }
}

TEST(write_schedule, splits_a_batch_that_goes_on_failing_and_gives_up_what_is_alone) {
    write_schedule s(
        {.batch_size = 4, .batch_attempts = 2, .max_attempts = 3, .backoff = {.initial = 1ms, .max = 1ms}});
    std::vector<write_slot> slots(4);
    for (auto& each : slots) {
        s.enqueue(each);
    }
    time_point now{};
    std::vector<std::size_t> sizes;
    std::size_t given_up = 0;
    while (!s.is_idle()) {
        now += 1s;
        auto batch = s.take(now, true);
        ASSERT_TRUE(batch);
        sizes.push_back(batch->slots.size());
        if (batch->slots.size() == 1 && batch->slots[0] != &slots[2]) {
            s.succeeded(1, 1ms);
            continue;
        }
        given_up +=
            s.failed(std::move(*batch), write_failure::retryable, now) == write_schedule::verdict::give_up
                ? 1
                : 0;
    }
    EXPECT_EQ(given_up, 1U);
    EXPECT_EQ(std::count(sizes.begin(), sizes.end(), 4U), 2);
    EXPECT_EQ(std::count(sizes.begin(), sizes.end(), 1U), 3 + 3);
}

TEST(write_schedule, an_outage_pauses_the_queue_counts_no_attempt_and_leaves_the_batches_nearly_whole) {
    constexpr std::size_t batches = 40;
    write_schedule s(
        {.batch_size = 256, .batch_attempts = 1, .max_attempts = 1, .backoff = {.initial = 10ms, .max = 1s}});
    std::vector<write_slot> slots(256 * batches);
    for (auto& each : slots) {
        s.enqueue(each);
    }
    time_point now{};
    for (int i = 0; i < 1000; ++i) {
        now = std::max(now, s.next_at(true));
        auto batch = s.take(now, true);
        ASSERT_TRUE(batch);
        EXPECT_EQ(s.failed(std::move(*batch), write_failure::unavailable, now),
                  write_schedule::verdict::retry);
    }
    EXPECT_GT(now, time_point(100s));  // backed off
    std::size_t taken = 0;
    std::size_t statements = 0;
    for (; !s.is_idle(); ++statements) {
        now = std::max(now, s.next_at(true));
        auto batch = s.take(now, true);
        ASSERT_TRUE(batch);
        taken += batch->slots.size();
        s.succeeded(batch->slots.size(), 1ms);
    }
    EXPECT_EQ(taken, slots.size());
    EXPECT_LE(statements, 2 * batches);
}

/// Sends everything for a while to a source that is not available for batches with one of these rows. What
/// has not gone through then.
std::vector<std::size_t> refused_for(write_schedule& s, std::vector<write_slot>& slots,
                                     const std::vector<std::size_t>& poison, time_point& now,
                                     std::vector<std::size_t>& given_up) {
    std::vector<bool> stored(slots.size());
    for (int i = 0; i < 500 && !s.is_idle(); ++i) {
        now = std::max(now, s.next_at(true));
        auto batch = s.take(now, true);
        if (!batch) {
            break;
        }
        const auto index = [&](const write_slot* each) {
            return static_cast<std::size_t>(each - slots.data());
        };
        const bool is_bad = std::any_of(batch->slots.begin(), batch->slots.end(), [&](const auto* each) {
            return std::count(poison.begin(), poison.end(), index(each)) != 0;
        });
        if (!is_bad) {
            for (const auto* each : batch->slots) {
                stored[index(each)] = true;
            }
            s.succeeded(batch->slots.size(), 1ms);
            continue;
        }
        const std::size_t first = index(batch->slots.front());
        if (s.failed(std::move(*batch), write_failure::unavailable, now) ==
            write_schedule::verdict::give_up) {
            given_up.push_back(first);
            stored[first] = true;
        }
    }
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < stored.size(); ++i) {
        if (!stored[i]) {
            left.push_back(i);
        }
    }
    return left;
}

TEST(write_schedule, a_row_that_looks_like_an_outage_is_left_alone_with_others_like_it) {
    for (const std::vector<std::size_t>& poison :
         std::vector<std::vector<std::size_t>>{{0}, {7}, {0, 1}, {3, 8, 12}, {1, 3, 5, 7, 9, 11, 13, 15}}) {
        write_schedule s({.batch_size = 16,
                          .batch_attempts = 3,
                          .max_attempts = 5,
                          .backoff = {.initial = 10ms, .max = 1s}});
        std::vector<write_slot> slots(16);
        for (auto& each : slots) {
            s.enqueue(each);
        }
        time_point now{};
        std::vector<std::size_t> given_up;
        const auto left = refused_for(s, slots, poison, now, given_up);
        std::vector<std::size_t> all = left;
        all.insert(all.end(), given_up.begin(), given_up.end());
        std::sort(all.begin(), all.end());
        EXPECT_EQ(all, poison);
        EXPECT_FALSE(left.empty());  // nothing goes through besides: an outage, for all it knows
    }
}

TEST(write_failure, is_told_by_the_code) {
    const auto of = [](const auto& thrown) {
        return classify_write_failure(std::make_exception_ptr(thrown));
    };
    EXPECT_EQ(of(error(errc::timeout)), write_failure::unavailable);
    EXPECT_EQ(of(error(errc::unavailable)), write_failure::unavailable);
    EXPECT_EQ(of(error(errc::invalid_data)), write_failure::permanent);
    EXPECT_EQ(of(error(errc::read_only)), write_failure::permanent);
    EXPECT_EQ(of(std::system_error(std::make_error_code(std::errc::connection_refused))),
              write_failure::unavailable);
    EXPECT_EQ(of(std::system_error(std::make_error_code(std::errc::value_too_large))),
              write_failure::permanent);
    EXPECT_EQ(of(std::runtime_error("what is not known")), write_failure::retryable);
}

TEST(write_record, survives_its_bytes_and_refuses_any_others) {
    const write_record written{.what = write_record::kind::letter_put,
                               .writer = 7,
                               .version = 8,
                               .key = std::string("k\0y", 3),
                               .value = bytes(5, std::byte{9}),
                               .sequence = 10,
                               .code = -11,
                               .category = "levee",
                               .reason = "why"};
    const bytes raw = encode(written);
    const auto read = decode_write_record(raw);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->key, written.key);
    EXPECT_EQ(read->value, written.value);
    EXPECT_EQ(read->code, written.code);
    EXPECT_EQ(read->category, written.category);
    EXPECT_EQ(read->reason, written.reason);
    for (std::size_t size = 0; size < raw.size(); ++size) {
        EXPECT_FALSE(decode_write_record(bytes_view(raw).first(size))) << size;
    }
    bytes longer = raw;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode_write_record(longer));
    bytes later = raw;
    later[0] = std::byte{2};
    EXPECT_FALSE(decode_write_record(later));
}

}  // namespace
}  // namespace levee::cache_detail
