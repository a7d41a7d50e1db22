#include "levee/balance/endpoint_set.hpp"

#include "levee/balance/resolver.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace {

using namespace levee;

TEST(endpoint_set, names_endpoints_by_host_and_port) {
    const endpoint_set set(
        {{.host = "10.0.0.1", .port = 80}, {.id = "mine", .host = "10.0.0.1", .port = 80}});
    const auto list = set.snapshot();
    ASSERT_EQ(list->endpoints.size(), 2u);
    EXPECT_EQ(list->endpoints[0].data->id, "10.0.0.1:80");
    EXPECT_EQ(list->endpoints[0].key, key_of("10.0.0.1:80"));
    EXPECT_EQ(list->endpoints[1].data->id, "mine");
}

TEST(endpoint_set, an_update_says_what_it_did) {
    endpoint_set set({{.id = "a"}, {.id = "b"}, {.id = "c"}});
    const auto before = set.snapshot();
    const auto changes = set.update({{.id = "b"}, {.id = "a", .weight = 2}, {.id = "d"}, {.id = "b"}});
    EXPECT_EQ(changes.added, 1u);
    EXPECT_EQ(changes.changed, 1u);
    EXPECT_EQ(changes.removed, 1u);
    EXPECT_EQ(changes.duplicates, 1u);
    EXPECT_TRUE(changes.reordered);
    EXPECT_EQ(set.size(), 3u);
    EXPECT_EQ(before->endpoints.size(), 3u) << "snapshots do not change";
    EXPECT_EQ(before->endpoints[0].data->id, "a");
    EXPECT_LT(before->version, set.snapshot()->version);
    EXPECT_EQ(set.snapshot()->endpoints[0].data, before->endpoints[1].data) << "b did not change";
}

TEST(endpoint_set, health_and_draining_stay_with_the_id) {
    endpoint_set set({{.id = "a"}, {.id = "b"}});
    EXPECT_TRUE(set.set_health("a", false));
    EXPECT_FALSE(set.set_health("a", false)) << "it was so already";
    EXPECT_FALSE(set.set_health("unknown", false));
    EXPECT_TRUE(set.set_draining("b", true));
    set.update({{.id = "b", .host = "elsewhere"}, {.id = "a"}, {.id = "new"}});
    const auto list = set.snapshot();
    EXPECT_TRUE(list->endpoints[0].is_draining);
    EXPECT_FALSE(list->endpoints[1].is_healthy);
    EXPECT_TRUE(list->endpoints[2].is_healthy);
    set.remove("a");
    set.add({.id = "a"});
    EXPECT_TRUE(set.snapshot()->endpoints.back().is_healthy) << "a new one of an old name starts anew";
}

TEST(endpoint_set, adds_changes_and_removes_one) {
    endpoint_set set;
    EXPECT_TRUE(set.add({.id = "a"}));
    EXPECT_FALSE(set.add({.id = "a", .port = 9}));
    EXPECT_EQ(set.snapshot()->endpoints[0].data->port, 9);
    EXPECT_TRUE(set.add({.id = "b"}));
    EXPECT_TRUE(set.remove("a"));
    EXPECT_FALSE(set.remove("a"));
    EXPECT_TRUE(set.set_health("b", false)) << "found after others moved up";
}

TEST(endpoint_set, copies_are_the_same_set) {
    endpoint_set set;
    endpoint_set copy = set;
    copy.add({.id = "a"});
    EXPECT_EQ(set.size(), 1u);
}

TEST(endpoint_set, refuses_wrong_weights_and_stays_as_it_was) {
    endpoint_set set({{.id = "a"}});
    for (const double wrong : {-1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
        EXPECT_THROW(set.update({{.id = "b", .weight = wrong}}), std::invalid_argument);
        EXPECT_THROW(set.add({.id = "b", .weight = wrong}), std::invalid_argument);
    }
    EXPECT_EQ(set.snapshot()->endpoints[0].data->id, "a");
}

TEST(resolver, refreshes_a_set_and_leaves_it_when_it_fails) {
    endpoint_set set;
    static_resolver fixed({{.id = "a"}, {.id = "b"}});
    EXPECT_EQ(refresh(set, fixed).added, 2u);
    callback_resolver broken([]() -> std::vector<endpoint> { throw std::runtime_error("no answer"); });
    EXPECT_THROW(refresh(set, broken), std::runtime_error);
    EXPECT_EQ(set.size(), 2u);
    callback_resolver none([] { return std::vector<endpoint>(); });
    EXPECT_EQ(refresh(set, none).removed, 2u);
    EXPECT_THROW(callback_resolver(nullptr), std::invalid_argument);
}

}  // namespace
