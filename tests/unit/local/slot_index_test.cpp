#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <set>

#include "levee/core/random.hpp"
#include "levee/local/detail/slot_index.hpp"

namespace levee::local_detail {
namespace {

TEST(group_tags, finds_each_lane_of_a_tag_and_no_other) {
    xoshiro256 random(5);
    for (int round = 0; round < 2000; ++round) {
        alignas(16) std::uint64_t words[2] = {random(), random()};
        if (round % 3 == 0) {
            words[0] &= 0x0302010003020100;  // neighbours that differ in one bit: where a borrow would show
            words[1] &= 0x0302010003020100;
        }
        const group_tags tags = group_tags::read(words);
        for (unsigned tag = 0; tag < 256; ++tag) {
            unsigned expected = 0;
            for (unsigned lane = 0; lane < slots_in_group; ++lane) {
                expected |= (words[lane / 8] >> lane % 8 * 8 & 0xffU) == tag ? 1U << lane : 0U;
            }
            ASSERT_EQ(tags.match_tag(static_cast<std::uint8_t>(tag)), expected);
        }
    }
}

/// A set of hashes in an index, beside a map.
class model {
public:
    explicit model(slot_index::content content, std::size_t expected)
        : index_(content, sizeof(std::uint64_t), slot_layout::times::none, expected) {}

    bool insert(std::uint64_t hash) {
        if (!index_.prepare()) {
            return false;
        }
        const slot_number at = index_.take(hash_parts(hash));
        std::memcpy(index_.table().slot(at), &hash, sizeof hash);
        const entry_id id = index_.publish(at, hash_parts(hash));
        EXPECT_TRUE(ids_.emplace(hash, id).second);
        return true;
    }
    void erase(std::uint64_t hash) {
        index_.remove(ids_.at(hash));
        ids_.erase(hash);
    }
    entry_id find(std::uint64_t hash) {
        const auto fits = [&](const std::byte* slot) { return std::memcmp(slot, &hash, sizeof hash) == 0; };
        const slot_number at = index_.find_locked(hash_parts(hash), fits);
        return at == no_slot ? no_entry : index_.id_at(at);
    }
    void check() {
        ASSERT_TRUE(index_.is_consistent());
        ASSERT_EQ(index_.size(), ids_.size());
        for (const auto& [hash, id] : ids_) {
            ASSERT_EQ(find(hash), id);
        }
    }
    std::map<std::uint64_t, entry_id>& ids() { return ids_; }
    slot_index& index() { return index_; }

private:
    slot_index index_;
    std::map<std::uint64_t, entry_id> ids_{};
};

/// Hashes of which many share a home group, a tag or both.
std::uint64_t crowded_hash(xoshiro256& random) {
    const std::uint64_t hash = random();
    switch (uniform_below(random, 4)) {
        case 0:
            return hash & 0xffffff0000000007;
        case 1:
            return hash & 0xffffff00ffffffff;
        default:
            return hash;
    }
}

TEST(slot_index, agrees_with_a_map_over_random_changes) {
    for (const auto content : {slot_index::content::values, slot_index::content::pointer}) {
        for (const std::size_t expected : {std::size_t{0}, std::size_t{300}, std::size_t{5000}}) {
            model both(content, expected);
            xoshiro256 random(expected + 1);
            for (int step = 0; step < 12'000; ++step) {
                const std::uint64_t hash = crowded_hash(random);
                const bool grows = step / 2000 % 2 == 0;
                if (both.ids().contains(hash)) {
                    both.erase(hash);
                } else if (uniform_below(random, 3) != 0 ? grows : !grows) {
                    ASSERT_TRUE(both.insert(hash));
                } else if (!both.ids().empty()) {
                    const auto near = both.ids().lower_bound(hash);
                    both.erase((near == both.ids().end() ? both.ids().begin() : near)->first);
                }
                ASSERT_EQ(both.find(hash) != no_entry, both.ids().contains(hash));
                if (step % 500 == 0) {
                    both.check();
                }
                if (step == 7000) {
                    both.index().shrink();
                }
            }
            both.check();
        }
    }
}

TEST(slot_index, keeps_ids_while_it_grows_and_hands_out_the_last_freed_first) {
    model both(slot_index::content::values, 0);
    for (std::uint64_t i = 0; i < 3000; ++i) {
        ASSERT_TRUE(both.insert(i * 0x9e3779b97f4a7c15));
        ASSERT_EQ(both.ids().at(i * 0x9e3779b97f4a7c15), i);
    }
    both.check();
    both.erase(7 * 0x9e3779b97f4a7c15);
    both.erase(9 * 0x9e3779b97f4a7c15);
    ASSERT_TRUE(both.insert(1));
    EXPECT_EQ(both.ids().at(1), 9U);
}

TEST(slot_index, finds_all_keys_of_one_hash_value) {
    model both(slot_index::content::pointer, 0);
    std::set<entry_id> ids;
    for (std::uint64_t i = 0; i < 600; ++i) {  // more than a group's counter counts
        ASSERT_TRUE(both.insert(i << 40));
    }
    both.check();
    for (std::uint64_t i = 0; i < 600; i += 2) {
        both.erase(i << 40);
    }
    both.check();
    EXPECT_EQ(both.find(std::uint64_t{2} << 40), no_entry);
}

TEST(slot_index, refuses_once_all_spare_slots_wait_for_a_reader_and_goes_on_when_it_has_gone) {
    model both(slot_index::content::values, 100);
    {
        const auto reader = epoch::pin();
        int inserted = 0;
        while (both.insert(static_cast<std::uint64_t>(inserted) * 0x9e3779b97f4a7c15)) {
            both.erase(static_cast<std::uint64_t>(inserted) * 0x9e3779b97f4a7c15);
            ASSERT_LT(++inserted, 1000);
        }
        EXPECT_GE(inserted, 256);
    }
    EXPECT_TRUE(both.insert(1));
    both.check();
}

}  // namespace
}  // namespace levee::local_detail
