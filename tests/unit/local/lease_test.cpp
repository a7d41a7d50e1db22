#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"
#include "support/removal_log.hpp"

namespace levee {
namespace {

using namespace std::chrono_literals;
using cache_type = local_cache<int, int>;

TEST(local_cache_lease, lets_its_holder_store_once) {
    cache_type cache({.max_entries = 10});
    const fill_lease lease = cache.begin_fill(1);
    EXPECT_EQ(cache.get(1), std::nullopt);
    EXPECT_TRUE(cache.fill(lease, 1, 10));
    EXPECT_EQ(cache.get(1), 10);
    EXPECT_FALSE(cache.fill(lease, 1, 11));  // a lease is for one value
    EXPECT_EQ(cache.get(1), 10);
}

TEST(local_cache_lease, replaces_an_older_value) {
    test::removal_log<int, int> log;
    cache_type cache({.max_entries = 10, .on_removal = log.listener()});
    cache.put(1, 10);
    EXPECT_TRUE(cache.fill(cache.begin_fill(1), 1, 11));
    EXPECT_EQ(cache.get(1), 11);
    EXPECT_EQ(log.count(removal_cause::replaced), 1U);
}

TEST(local_cache_lease, gives_the_value_the_life_it_is_filled_with) {
    test::manual_clock_stub clock;
    cache_type cache({.max_entries = 10, .time_to_live = 10s, .clock = &clock});
    const fill_lease first = cache.begin_fill(1);
    const fill_lease second = cache.begin_fill(2);
    clock.advance(1h);  // a lease does not age
    EXPECT_TRUE(cache.fill(first, 1, 1, 1s));
    EXPECT_TRUE(cache.fill(second, 2, 2));
    clock.advance(1s);
    EXPECT_FALSE(cache.get(1));
    EXPECT_TRUE(cache.get(2));
    clock.advance(9s);
    EXPECT_FALSE(cache.get(2));
}

struct end_of_lease {
    std::string name;
    void (*happen)(cache_type&, fill_lease);
};

class local_cache_lease_ended : public testing::TestWithParam<end_of_lease> {};

TEST_P(local_cache_lease_ended, stores_nothing) {
    cache_type cache({.max_entries = 10});
    const fill_lease lease = cache.begin_fill(1);
    GetParam().happen(cache, lease);
    const std::optional<int> before = cache.peek(1);
    EXPECT_FALSE(cache.fill(lease, 1, 10));
    EXPECT_EQ(cache.peek(1), before);
    EXPECT_NE(before, 10);
}

INSTANTIATE_TEST_SUITE_P(
    all, local_cache_lease_ended,
    testing::Values(
        end_of_lease{"invalidate", [](cache_type& c, fill_lease) { c.invalidate(1); }},
        end_of_lease{"invalidate_if",
                     [](cache_type& c, fill_lease) { c.invalidate_if([](int, int) { return false; }); }},
        end_of_lease{"clear", [](cache_type& c, fill_lease) { c.clear(); }},
        end_of_lease{"put", [](cache_type& c, fill_lease) { c.put(1, 2); }},
        end_of_lease{"put_and_invalidate",
                     [](cache_type& c, fill_lease) {
                         c.put(1, 2);
                         c.invalidate(1);
                     }},
        end_of_lease{"insert", [](cache_type& c, fill_lease) { c.insert(1, 2); }},
        end_of_lease{"compute",
                     [](cache_type& c, fill_lease) {
                         c.compute(1, [](std::optional<int>) { return std::optional(2); });
                     }},
        end_of_lease{"get_or_compute",
                     [](cache_type& c, fill_lease) { (void)c.get_or_compute(1, [] { return 2; }); }},
        end_of_lease{"a_newer_lease", [](cache_type& c, fill_lease) { (void)c.begin_fill(1); }},
        end_of_lease{"abandon", [](cache_type& c, fill_lease lease) { c.abandon(lease); }}),
    [](const auto& one) { return one.param.name; });

TEST(local_cache_lease, survives_what_does_not_change_its_key) {
    cache_type cache({.max_entries = 2, .shards = 1});
    cache.put(1, 9);
    const fill_lease lease = cache.begin_fill(1);
    (void)cache.get(1);
    (void)cache.get(7);
    EXPECT_FALSE(cache.insert(1, 2));
    for (int i = 10; i < 20; ++i) {
        cache.put(i, i);  // the key's older value is evicted
        cache.invalidate(i);
    }
    cache.run_pending_work();
    EXPECT_TRUE(cache.fill(lease, 1, 10));
    EXPECT_EQ(cache.get(1), 10);
}

TEST(local_cache_lease, of_an_older_asker_does_not_harm_the_newer) {
    cache_type cache({.max_entries = 10});
    const fill_lease older = cache.begin_fill(1);
    const fill_lease newer = cache.begin_fill(1);
    cache.abandon(older);
    EXPECT_FALSE(cache.fill(older, 1, 10));
    EXPECT_TRUE(cache.fill(newer, 1, 11));
    EXPECT_EQ(cache.get(1), 11);
}

TEST(local_cache_lease, is_for_its_own_key) {
    cache_type cache({.max_entries = 10, .shards = 1});
    const fill_lease lease = cache.begin_fill(1);
    EXPECT_FALSE(cache.fill(lease, 2, 10));
    EXPECT_FALSE(cache.fill(fill_lease{}, 1, 10));
    cache.abandon(fill_lease{});
    EXPECT_EQ(cache.estimated_size(), 0U);
}

}  // namespace
}  // namespace levee
