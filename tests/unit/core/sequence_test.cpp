#include "core/sequence.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace levee::detail {
namespace {

TEST(a_sequence, keeps_the_numbers_of_its_elements_while_it_grows) {
    sequence<int> numbers;
    std::deque<int> expected;
    std::mt19937 chance(4);
    std::uint64_t first = 0;
    for (int i = 0; i < 20'000; ++i) {
        if (expected.empty() || chance() % 5 < 3) {
            EXPECT_EQ(numbers.push(i), first + expected.size());
            expected.push_back(i);
        } else {
            ASSERT_EQ(numbers.front(), expected.front());
            numbers.pop();
            expected.pop_front();
            ++first;
        }
        ASSERT_EQ(numbers.size(), expected.size());
        ASSERT_EQ(numbers.first(), first);
        if (!expected.empty()) {
            const std::size_t any = chance() % expected.size();
            ASSERT_EQ(numbers[first + any], expected[any]);
        }
    }
    numbers.clear();
    EXPECT_TRUE(numbers.empty());
    EXPECT_EQ(numbers.push(7), first + expected.size()) << "numbers are never used again";
}

}  // namespace
}  // namespace levee::detail
