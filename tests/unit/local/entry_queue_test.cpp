/// Links and weights that take no more bits than they need.
#include "local/entry_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/local/detail/entry_weights.hpp"

namespace levee::local_detail {
namespace {

using links_type = queue_links<entry_id>;
using queue_type = entry_queue<entry_id>;

std::vector<entry_id> listed(const queue_type& queue, const links_type& links) {
    std::vector<entry_id> ids;
    for (entry_id id = queue.oldest(); id != queue_type::none; id = links.newer(id)) {
        ids.push_back(id);
    }
    std::vector<entry_id> backwards;
    for (entry_id id = queue.newest(); id != queue_type::none; id = links.older(id)) {
        backwards.push_back(id);
    }
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), backwards.rbegin(), backwards.rend()));
    return ids;
}

TEST(queue_links, of_few_ids_take_four_bytes_and_of_many_six) {
    links_type links;
    links.reserve(65'000);
    EXPECT_LT(links.memory(), 65'000 * 4.2);
    links.reserve(100'000);
    EXPECT_GT(links.memory(), 100'000u * 5);
    EXPECT_LT(links.memory(), 100'000 * 6.2);
}

TEST(queue_links, keep_what_they_held_when_ids_need_more_bits) {
    links_type links;
    queue_type queue;
    links.reserve(65'535);
    for (const entry_id id : {0U, 65'534U, 65'533U, 255U, 256U}) {
        queue.push(links, id);
    }
    links.reserve(65'536);
    queue.push(links, 65'535);
    links.reserve(200'000);
    queue.push(links, 199'999);
    queue.push(links, 131'071);
    EXPECT_EQ(listed(queue, links),
              (std::vector<entry_id>{0, 65'534, 65'533, 255, 256, 65'535, 199'999, 131'071}));
    queue.erase(links, 65'535);
    queue.erase(links, 131'071);
    queue.erase(links, 0);
    queue.renew_oldest(links);
    EXPECT_EQ(listed(queue, links), (std::vector<entry_id>{65'533, 255, 256, 199'999, 65'534}));
}

TEST(entry_queue, does_what_a_list_does_while_ids_become_more) {
    links_type links;
    queue_type queue;
    std::deque<entry_id> model;
    xoshiro256 random(1);
    entry_id limit = 0;
    for (int step = 0; step < 3000; ++step) {
        const auto what = uniform_below(random, 10);
        if (what < 5) {
            limit += static_cast<entry_id>(uniform_below(random, 100));
            links.reserve(limit + 1);
            queue.push(links, limit);
            model.push_back(limit++);
        } else if (what < 7 && !model.empty()) {
            const auto at = model.begin() + static_cast<std::ptrdiff_t>(uniform_below(random, model.size()));
            queue.erase(links, *at);
            model.erase(at);
        } else if (!model.empty()) {
            queue.renew_oldest(links);
            model.push_back(model.front());
            model.pop_front();
        }
        ASSERT_EQ(queue.size(), model.size());
        if (step % 100 == 0) {
            ASSERT_EQ(listed(queue, links), (std::vector<entry_id>(model.begin(), model.end())));
        }
    }
    EXPECT_GT(limit, 65'536u);
}

TEST(entry_weights, are_kept_whole_whatever_their_width) {
    for (const bool wide : {false, true}) {
        entry_weights weights(wide);
        weights.reserve(1000);
        const std::size_t large = wide ? std::size_t{1} << 40 | 7 : 0xffffffff;
        weights.set(3, large);
        weights.set(999, 5);
        EXPECT_EQ(weights[3], large);
        EXPECT_EQ(weights[999], 5u);
        EXPECT_EQ(weights[0], 0u);
        weights.set(3, 1);
        EXPECT_EQ(weights[3], 1u);
        EXPECT_LT(weights.memory(), 1000u * (wide ? 10 : 5));
    }
}

}  // namespace
}  // namespace levee::local_detail
