// B6: hashing by stable id.
#include "levee/balance/ip_hash.hpp"
#include "levee/balance/load_balancer.hpp"
#include "levee/balance/maglev.hpp"
#include "levee/balance/make_strategy.hpp"
#include "levee/balance/rendezvous.hpp"
#include "levee/balance/ring_hash.hpp"
#include "levee/core/hash.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using namespace levee;
using test::endpoints;

using placement = std::vector<std::string>;

placement place(load_balancer& balancer, int keys) {
    placement where;
    for (int key = 0; key < keys; ++key) {
        where.push_back(test::pick_id(balancer, {.hash = hash<int>{}(key)}));
    }
    return where;
}

// The share of keys that moved though their endpoint was not `gone`; all of the gone one's must have moved.
double moved_without_need(const placement& before, const placement& after, const std::string& gone) {
    int moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_NE(after[i], gone);
        moved += before[i] != after[i] && before[i] != gone ? 1 : 0;
    }
    return static_cast<double>(moved) / static_cast<double>(before.size());
}

double max_to_mean(const placement& where, std::size_t hosts) {
    std::map<std::string, int> counts;
    int most = 0;
    for (const auto& id : where) {
        most = std::max(most, counts[id] += 1);
    }
    return most * static_cast<double>(hosts) / static_cast<double>(where.size());
}

struct hashing : testing::TestWithParam<const char*> {
    test::manual_clock_stub clock;
    load_balancer_options options{.seed = 1, .clock = &clock};
};

TEST_P(hashing, equal_hashes_go_to_the_same_endpoint_in_every_client) {
    endpoint_set set(endpoints(20));
    load_balancer first(set, make_strategy(GetParam()), options);
    options.seed = 2;
    load_balancer second(set, make_strategy(GetParam()), options);
    EXPECT_EQ(place(first, 1'000), place(second, 1'000));
}

TEST_P(hashing, reordering_the_list_moves_no_key) {
    auto list = endpoints(50);
    for (std::size_t i = 0; i < list.size(); ++i) {
        list[i].weight = static_cast<double>(i % 3 + 1);
    }
    endpoint_set set(list);
    load_balancer balancer(set, make_strategy(GetParam()), options);
    const auto before = place(balancer, 2'000);
    std::reverse(list.begin(), list.end());
    set.update(list);
    EXPECT_EQ(place(balancer, 2'000), before);
}

TEST_P(hashing, an_unhealthy_endpoint_moves_only_its_keys_and_they_come_home) {
    endpoint_set set(endpoints(20));
    load_balancer balancer(set, make_strategy(GetParam()), options);
    const auto before = place(balancer, 5'000);
    set.set_health("e7", false);
    const auto without = place(balancer, 5'000);
    EXPECT_EQ(moved_without_need(before, without, "e7"), 0.0);
    std::map<std::string, int> heirs;
    for (std::size_t i = 0; i < before.size(); ++i) {
        heirs[without[i]] += before[i] == "e7" ? 1 : 0;
    }
    EXPECT_GT(std::count_if(heirs.begin(), heirs.end(), [](const auto& heir) { return heir.second > 0; }), 10)
        << "not all go to one neighbour";
    set.set_health("e7", true);
    EXPECT_EQ(place(balancer, 5'000), before);
}

TEST_P(hashing, a_removed_endpoint_moves_at_most_one_percent_of_the_other_keys) {
    endpoint_set set(endpoints(20));
    load_balancer balancer(set, make_strategy(GetParam()), options);
    const auto before = place(balancer, 20'000);
    set.remove("e7");
    EXPECT_LE(moved_without_need(before, place(balancer, 20'000), "e7"), 0.01);
}

TEST_P(hashing, goes_by_weight) {
    auto list = endpoints(10);
    for (auto& one : list) {
        one.weight = 1;
    }
    list[3].weight = 3;
    endpoint_set set(list);
    load_balancer balancer(set, make_strategy(GetParam()), options);
    const auto where = place(balancer, 20'000);
    EXPECT_NEAR(static_cast<double>(std::count(where.begin(), where.end(), "e3")) / 20'000, 3 / 12.0, 0.05);
}

TEST_P(hashing, an_excluded_endpoints_key_goes_to_the_same_other_one) {
    endpoint_set set(endpoints(20));
    load_balancer balancer(set, make_strategy(GetParam()), options);
    const std::string home = test::pick_id(balancer, {.hash = 12345});
    const endpoint_key tried[] = {key_of(home)};
    const std::string second = test::pick_id(balancer, {.hash = 12345, .exclude = tried});
    EXPECT_NE(second, home);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(test::pick_id(balancer, {.hash = 12345, .exclude = tried}), second);
    }
}

TEST_P(hashing, without_a_hash_picks_are_spread) {
    endpoint_set set(endpoints(5));
    load_balancer balancer(set, make_strategy(GetParam()), options);
    EXPECT_EQ(test::count_picks(balancer, 500).size(), 5u);
}

TEST_P(hashing, a_bounded_load_holds_at_every_step) {
    endpoint_set set(endpoints(10));
    const std::string name = GetParam();
    load_balancer balancer(
        set, make_strategy(name + (name.find(':') == name.npos ? ":" : ",") + "bounded_load=1.25"), options);
    std::vector<ticket> held;
    std::map<std::string, int> loads;
    for (int i = 0; i < 400; ++i) {
        // Half of the requests are for one hot key.
        auto pick = balancer.pick({.hash = i % 2 == 0 ? 99 : hash<int>{}(i)});
        ASSERT_TRUE(pick);
        loads[pick->endpoint().id] += 1;
        held.push_back(std::move(*pick));
        const double bound = std::ceil(1.25 * static_cast<double>(held.size()) / 10);
        for (const auto& [id, load] : loads) {
            ASSERT_LE(load, bound) << id << " of " << held.size();
        }
    }
    held.clear();
    const std::string home = test::pick_id(balancer, {.hash = 99});
    EXPECT_EQ(test::pick_id(balancer, {.hash = 99}), home) << "without load keys are at home";
}

// Where `locate` and `pick` both say that the keys live; empty for nowhere.
void expect_located_as_picked(load_balancer& balancer, const pick_context& like = {}) {
    for (int key = 0; key < 500; ++key) {
        pick_context context = like;
        context.hash = hash<int>{}(key);
        const auto located = balancer.locate(context);
        const auto picked = balancer.pick(context);
        ASSERT_EQ(located.has_value(), picked.has_value()) << key;
        if (picked) {
            ASSERT_EQ(*located, picked->key()) << key;
            ASSERT_EQ(*located, key_of(picked->endpoint().id));
        }
    }
}

TEST_P(hashing, locates_what_a_pick_would_take) {
    auto list = endpoints(20);
    for (std::size_t i = 0; i < list.size(); ++i) {
        list[i].weight = static_cast<double>(i % 3 + 1);
    }
    list[12].zone = "here";
    list[13].priority = 1;
    endpoint_set set(list);
    options.zone = "here";
    load_balancer zoned(set, make_strategy(GetParam()), options);
    expect_located_as_picked(zoned);
    options.zone.clear();
    list.pop_back();
    list[13].priority = 0;
    set.update(list);
    load_balancer balancer(set, make_strategy(GetParam()), options);
    expect_located_as_picked(balancer);
    set.set_health("e3", false);
    set.set_draining("e4", true);
    expect_located_as_picked(balancer);
    const endpoint_key tried[] = {key_of("e1"), key_of("e2")};
    expect_located_as_picked(balancer, {.exclude = tried});
    expect_located_as_picked(balancer, {.sticky = "e5"});
    EXPECT_EQ(balancer.locate({.hash = 1, .sticky = "e5"}), key_of("e5"));
    options.slow_start = 10s;
    load_balancer starting(set, make_strategy(GetParam()), options);
    set.add({.id = "new"});
    clock.advance(3s);
    expect_located_as_picked(starting);
}

TEST_P(hashing, locating_passes_over_who_is_at_the_bound_and_takes_nothing) {
    endpoint_set set(endpoints(10));
    const std::string name = GetParam();
    load_balancer balancer(
        set, make_strategy(name + (name.find(':') == name.npos ? ":" : ",") + "bounded_load=1.25"), options);
    const auto home = balancer.locate({.hash = 99});
    std::vector<ticket> held;
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(balancer.locate({.hash = 99}), balancer.locate({.hash = 99}));
        const endpoint_key other[] = {1};
        EXPECT_EQ(balancer.locate({.hash = 99, .exclude = other}), balancer.locate({.hash = 99}));
        EXPECT_EQ(balancer.locate({.hash = 99, .exclude = other}), balancer.locate({.hash = 99}));
        const auto located = balancer.locate({.hash = 99});
        held.push_back(*balancer.pick({.hash = 99}));
        EXPECT_EQ(located, held.back().key());
    }
    EXPECT_NE(balancer.locate({.hash = 99}), home);
    held.clear();
    EXPECT_EQ(balancer.locate({.hash = 99}), home);
}

INSTANTIATE_TEST_SUITE_P(each, hashing,
                         testing::Values("maglev", "ring_hash:points=640", "rendezvous", "ip_hash"),
                         [](const auto& of) {
                             const std::string name = of.param;
                             return name.substr(0, name.find(':'));
                         });

TEST(maglev, is_even_within_one_percent_at_1000_hosts) {
    endpoint_set set(endpoints(1'000));
    load_balancer balancer(set, maglev{}, {.seed = 1});
    // Over the whole table rather than over sampled keys, whose number varies more than that.
    constexpr std::uint64_t table = 65'537;
    std::map<std::string, int> counts;
    int most = 0;
    for (std::uint64_t entry = 0; entry < table; ++entry) {
        const double middle = (static_cast<double>(entry) + 0.5) / static_cast<double>(table);
        most = std::max(
            most,
            counts[test::pick_id(balancer, {.hash = static_cast<std::uint64_t>(middle * 0x1p64)})] += 1);
    }
    EXPECT_EQ(counts.size(), 1'000u);
    EXPECT_LE(most / (table / 1'000.0), 1.01);
}

TEST(maglev, a_loss_moves_at_most_one_percent_of_the_other_keys) {
    for (const int hosts : {100, 1'000}) {
        endpoint_set set(endpoints(hosts));
        load_balancer balancer(set, maglev{}, {.seed = 1});
        const auto homes = [&] {
            std::vector<endpoint_key> found;
            for (int key = 0; key < 100'000; ++key) {
                found.push_back(*balancer.locate({.hash = hash<int>{}(key)}));
            }
            return found;
        };
        const auto before = homes();
        double worst = 0.0;
        for (const int lost : {0, hosts / 2, hosts - 1}) {
            const endpoint_key gone = key_of("e" + std::to_string(lost));
            set.remove("e" + std::to_string(lost));
            const auto after = homes();
            int moved = 0;
            for (std::size_t i = 0; i < before.size(); ++i) {
                EXPECT_NE(after[i], gone);
                moved += before[i] != gone && after[i] != before[i] ? 1 : 0;
            }
            worst = std::max(worst, moved / 100'000.0);
            set.update(endpoints(hosts));
            EXPECT_EQ(homes(), before) << "all come home";
        }
        EXPECT_LE(worst, 0.01) << hosts;
        EXPECT_GT(worst, 0.0) << "a loss that moves nothing else was not looked at";
        RecordProperty("worst_" + std::to_string(hosts), std::to_string(worst));
    }
}

TEST(ring_hash, is_even_within_25_percent_at_160_points) {
    endpoint_set set(endpoints(10));
    load_balancer balancer(set, ring_hash{}, {.seed = 1});
    EXPECT_LE(max_to_mean(place(balancer, 100'000), 10), 1.25);
}

TEST(ring_hash, losing_an_endpoint_for_good_moves_only_its_keys) {
    endpoint_set set(endpoints(20));
    load_balancer balancer(set, ring_hash{}, {.seed = 1});
    const auto before = place(balancer, 20'000);
    set.remove("e7");
    EXPECT_LE(moved_without_need(before, place(balancer, 20'000), "e7"), 0.0);
}

TEST(ip_hash, clients_of_one_network_share_an_endpoint) {
    endpoint_set set(endpoints(50));
    load_balancer balancer(set, ip_hash{}, {.seed = 1});
    const auto of = [&](std::string_view client) { return test::pick_id(balancer, {.client = client}); };
    EXPECT_EQ(of("10.1.2.3"), of("10.1.2.250"));
    EXPECT_EQ(of("2001:db8::1"), of("2001:0db8:0:0:ffff::1"));
    int same = 0;
    for (int i = 0; i < 50; ++i) {
        same += of("10.1." + std::to_string(i) + ".3") == of("10.1.99.3") ? 1 : 0;
    }
    EXPECT_LE(same, 8);
    EXPECT_EQ(of("not an address"), of("not an address"));
}

TEST(hashing_strategies, refuse_wrong_options) {
    EXPECT_THROW(maglev({.table_size = 65'536}), std::invalid_argument);
    EXPECT_THROW(maglev({.bounded_load = 0.5}), std::invalid_argument);
    EXPECT_THROW(ring_hash({.points = 0}), std::invalid_argument);
    EXPECT_THROW(ip_hash({.ipv4_bits = 33}), std::invalid_argument);
    EXPECT_THROW(ip_hash({.ipv6_bits = 0}), std::invalid_argument);
}

}  // namespace
