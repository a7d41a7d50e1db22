#include "levee/core/hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "levee/core/random.hpp"

namespace {

using levee::finalised_hash;
using levee::hash;
using levee::hash_bytes;
using levee::hash_mix;
using namespace std::string_view_literals;

enum class colour : std::uint8_t { red, green };

struct with_std_hash {
    int id;
};

struct without_hash {};

}  // namespace

template <>
struct std::hash<with_std_hash> {
    std::size_t operator()(with_std_hash key) const noexcept { return static_cast<std::size_t>(key.id); }
};

namespace {

struct identity {
    std::uint64_t operator()(std::uint64_t key) const noexcept { return key; }
};
struct good_64_bits : identity {
    using is_avalanching = void;
};
struct good_by_true_type : identity {
    using is_avalanching = std::true_type;
};
struct bad_by_false_type : identity {
    using is_avalanching = std::false_type;
};
struct good_32_bits {
    using is_avalanching = void;
    std::uint32_t operator()(std::uint32_t key) const noexcept { return key; }
};

// The share of `rounds` random inputs for which flipping input bit `in` flips output bit `out`, at its
// worst distance from one half over all pairs of bits.
template <class Hash>
double worst_avalanche(std::size_t input_bytes, Hash hash_of, int rounds) {
    const std::size_t bits = input_bytes * 8;
    std::vector<std::array<int, 64>> flips(bits);
    levee::xoshiro256 random(input_bytes);
    std::vector<unsigned char> input(input_bytes);
    for (int round = 0; round < rounds; ++round) {
        std::generate(input.begin(), input.end(), [&] { return static_cast<unsigned char>(random()); });
        const std::uint64_t before = hash_of(input);
        for (std::size_t in = 0; in < bits; ++in) {
            const auto bit = static_cast<unsigned char>(1U << (in % 8));
            input[in / 8] ^= bit;
            const std::uint64_t changed = before ^ hash_of(input);
            input[in / 8] ^= bit;
            for (std::size_t out = 0; out < 64; ++out) {
                flips[in][out] += static_cast<int>((changed >> out) & 1);
            }
        }
    }
    double worst = 0;
    for (const auto& of_bit : flips) {
        for (const int count : of_bit) {
            worst = std::max(worst, std::abs(static_cast<double>(count) / rounds - 0.5));
        }
    }
    return worst;
}

std::uint64_t word_of(const std::vector<unsigned char>& bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    return word;
}

// How far the counts of `hashes`, taken 10 bits from `shift` on, are from even: chi-square in units of its
// standard deviation. Random hashes stay within about ±4; an identity is off by hundreds.
double unevenness(const std::vector<std::uint64_t>& hashes, int shift) {
    constexpr std::size_t buckets = 1024;
    std::vector<double> counts(buckets);
    for (const std::uint64_t h : hashes) {
        ++counts[(h >> shift) % buckets];
    }
    const double expected = static_cast<double>(hashes.size()) / buckets;
    double chi_square = 0;
    for (const double count : counts) {
        chi_square += (count - expected) * (count - expected) / expected;
    }
    const double freedom = buckets - 1;
    return std::abs(chi_square - freedom) / std::sqrt(2 * freedom);
}

void expect_even_everywhere(const std::vector<std::uint64_t>& hashes) {
    for (const int shift : {0, 7, 20, 32, 44, 54}) {
        EXPECT_LT(unevenness(hashes, shift), 6) << "bits from " << shift;
    }
}

std::size_t distinct(std::vector<std::uint64_t> hashes) {
    std::sort(hashes.begin(), hashes.end());
    return static_cast<std::size_t>(std::unique(hashes.begin(), hashes.end()) - hashes.begin());
}

template <class Key, class Make>
std::vector<std::uint64_t> hashes_of(std::size_t count, Make make) {
    std::vector<std::uint64_t> hashes;
    hashes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        hashes.push_back(hash<Key>{}(make(i)));
    }
    return hashes;
}

constexpr int avalanche_rounds = 1000;

// Six standard deviations of a fair coin: thrown once a round, or once for each pair of different inputs
// if the input is so short that rounds repeat each other.
double tolerance(std::size_t input_bytes) {
    const double pairs = std::exp2(static_cast<double>(input_bytes) * 8 - 1);
    return 3 / std::sqrt(std::min<double>(avalanche_rounds, pairs));
}

TEST(hash_mix, moves_every_output_bit_with_every_input_bit) {
    EXPECT_LT(worst_avalanche(
                  8, [](const auto& bytes) { return hash_mix(word_of(bytes)); }, avalanche_rounds),
              tolerance(8));
}

TEST(hash_mix, the_avalanche_measure_rejects_the_identity) {
    EXPECT_DOUBLE_EQ(worst_avalanche(8, [](const auto& bytes) { return word_of(bytes); }, 100), 0.5);
}

class hash_bytes_of_length : public testing::TestWithParam<std::size_t> {};

TEST_P(hash_bytes_of_length, moves_every_output_bit_with_every_input_bit) {
    const auto of = [](const auto& bytes) { return hash_bytes(bytes.data(), bytes.size()); };
    EXPECT_LT(worst_avalanche(GetParam(), of, avalanche_rounds), tolerance(GetParam()));
}

TEST_P(hash_bytes_of_length, depends_on_the_seed) {
    const std::string text(GetParam(), 'x');
    EXPECT_NE(hash_bytes(text.data(), text.size(), 1), hash_bytes(text.data(), text.size(), 2));
    EXPECT_EQ(hash_bytes(text.data(), text.size(), 7), hash_bytes(text.data(), text.size(), 7));
}

TEST_P(hash_bytes_of_length, reads_nothing_outside_and_does_not_mind_alignment) {
    // Each copy ends where its allocation ends, which the address sanitizer watches.
    const std::string text(GetParam(), 'y');
    const std::uint64_t expected = hash_bytes(text.data(), text.size());
    for (std::size_t offset = 0; offset < 8; ++offset) {
        const auto copy = std::make_unique<char[]>(offset + text.size());
        std::copy(text.begin(), text.end(), copy.get() + offset);
        EXPECT_EQ(hash_bytes(copy.get() + offset, text.size()), expected) << offset;
    }
}

INSTANTIATE_TEST_SUITE_P(every_class, hash_bytes_of_length,
                         testing::Values(1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 64,
                                         96, 97, 130));

TEST(hash_bytes, takes_no_bytes_at_all_and_null) {
    EXPECT_EQ(hash_bytes(nullptr, 0), hash_bytes("x", 0));
    EXPECT_NE(hash_bytes(nullptr, 0), hash_bytes(nullptr, 0, 1));
    EXPECT_NE(hash_bytes(nullptr, 0), 0U);
}

TEST(hash_bytes, tells_runs_of_zeros_apart_by_length) {
    const std::string zeros(200, '\0');
    std::vector<std::uint64_t> hashes;
    for (std::size_t size = 0; size <= zeros.size(); ++size) {
        hashes.push_back(hash_bytes(zeros.data(), size));
    }
    EXPECT_EQ(distinct(hashes), hashes.size());
}

TEST(hash_bytes, a_change_anywhere_in_a_long_text_shows) {
    std::string text(500, 'a');
    std::vector<std::uint64_t> hashes{hash_bytes(text.data(), text.size())};
    for (char& c : text) {
        c = 'b';
        hashes.push_back(hash_bytes(text.data(), text.size()));
        c = 'a';
    }
    EXPECT_EQ(distinct(hashes), hashes.size());
}

TEST(hash, spreads_sequential_integers_over_low_and_high_bits) {
    expect_even_everywhere(hashes_of<std::uint64_t>(200'000, [](std::size_t i) { return i; }));
    expect_even_everywhere(hashes_of<int>(200'000, [](std::size_t i) { return -static_cast<int>(i); }));
}

TEST(hash, spreads_strided_pointers_over_low_and_high_bits) {
    for (const std::size_t stride : {16U, 64U, 4096U}) {
        expect_even_everywhere(hashes_of<const char* const*>(200'000, [&](std::size_t i) {
            return std::bit_cast<const char* const*>(0x7f0000000000 + i * stride);
        }));
    }
}

TEST(hash, the_spread_measure_rejects_the_identity) {
    std::vector<std::uint64_t> hashes(200'000);
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        hashes[i] = i * 64;
    }
    EXPECT_GT(unevenness(hashes, 0), 100);
    EXPECT_GT(unevenness(hashes, 54), 100);
}

TEST(hash, spreads_short_and_numbered_strings) {
    expect_even_everywhere(hashes_of<std::string>(200'000, [](std::size_t i) { return std::to_string(i); }));
    expect_even_everywhere(hashes_of<std::string>(
        200'000, [](std::size_t i) { return "product:catalogue:" + std::to_string(i); }));
}

TEST(hash, spreads_pairs_of_small_numbers) {
    using key = std::pair<int, int>;
    expect_even_everywhere(hashes_of<key>(
        200'000, [](std::size_t i) { return key(static_cast<int>(i % 400), static_cast<int>(i / 400)); }));
}

TEST(hash, a_million_sequential_integers_do_not_collide) {
    EXPECT_EQ(distinct(hashes_of<std::uint32_t>(1'000'000,
                                                [](std::size_t i) { return static_cast<std::uint32_t>(i); })),
              1'000'000U);
}

TEST(hash, a_million_short_strings_do_not_collide) {
    EXPECT_EQ(distinct(hashes_of<std::string>(1'000'000, [](std::size_t i) { return std::to_string(i); })),
              1'000'000U);
    // All texts of one to three bytes that end on a byte below 16.
    EXPECT_EQ(distinct(hashes_of<std::string>(1'000'000,
                                              [](std::size_t i) {
                                                  std::string text;
                                                  for (; i != 0; i >>= 8) {
                                                      text.push_back(static_cast<char>(i & 0xff));
                                                  }
                                                  return text;
                                              })),
              1'000'000U);
}

TEST(hash, a_million_pairs_do_not_collide) {
    using key = std::pair<std::uint16_t, std::uint16_t>;
    EXPECT_EQ(distinct(hashes_of<key>(1'000'000,
                                      [](std::size_t i) {
                                          return key(static_cast<std::uint16_t>(i % 1000),
                                                     static_cast<std::uint16_t>(i / 1000));
                                      })),
              1'000'000U);
}

TEST(hash, is_constexpr_for_what_is_made_of_integers) {
    static_assert(hash<int>{}(1) != hash<int>{}(2));
    static_assert(hash<std::pair<int, bool>>{}({1, true}) != hash<std::pair<int, bool>>{}({1, false}));
    static_assert(hash<std::chrono::milliseconds>{}(std::chrono::milliseconds(5)) != 5);
    static_assert(hash<double>{}(1.0) != hash<double>{}(2.0));
}

TEST(hash, text_hashes_the_same_in_every_type) {
    for (const char* const text :
         {"", "a", "four", "sixteen bytes!!!", "rather more than sixteen bytes of text"}) {
        const std::uint64_t expected = hash<std::string>{}(std::string(text));
        EXPECT_EQ(hash<std::string>{}(text), expected);
        EXPECT_EQ(hash<std::string>{}(std::string_view(text)), expected);
        EXPECT_EQ(hash<std::string_view>{}(text), expected);
        EXPECT_EQ(hash<std::pmr::string>{}(text), expected);
        EXPECT_EQ(hash<const char*>{}(text), expected);
        EXPECT_EQ(hash<char*>{}(std::string(text).data()), expected);
    }
    EXPECT_EQ(hash<const char*>{}(nullptr), hash<std::string>{}(""));
    EXPECT_EQ(hash<std::string_view>{}(std::string_view()), hash<std::string>{}(""));
}

TEST(hash, text_with_nul_bytes_is_hashed_whole) {
    EXPECT_NE(hash<std::string_view>{}("a\0b"sv), hash<std::string_view>{}("a\0c"sv));
    EXPECT_NE(hash<std::string_view>{}("a"sv), hash<std::string_view>{}("a\0"sv));
}

TEST(hash, wide_text_is_hashed_whole) {
    EXPECT_NE(hash<std::u32string>{}(U"ab"), hash<std::u32string>{}(U"ac"));
    EXPECT_EQ(hash<std::u16string>{}(u"ab"), hash<std::u16string_view>{}(u"ab"));
}

TEST(hash, is_transparent_for_text_with_a_transparent_equality_only) {
    static_assert(levee::transparent<hash<std::string>, std::equal_to<>>);
    static_assert(levee::transparent<hash<std::string_view>, std::equal_to<>>);
    static_assert(!levee::transparent<hash<std::string>, std::equal_to<std::string>>);
    static_assert(!levee::transparent<hash<int>, std::equal_to<>>);
    static_assert(!levee::transparent<hash<const char*>, std::equal_to<>>);
    static_assert(!levee::transparent<std::hash<std::string>, std::equal_to<>>);
}

TEST(hash, both_zeros_are_one_key) {
    EXPECT_EQ(hash<double>{}(0.0), hash<double>{}(-0.0));
    EXPECT_EQ(hash<float>{}(0.0F), hash<float>{}(-0.0F));
    EXPECT_EQ(hash<long double>{}(0.0L), hash<long double>{}(-0.0L));
    EXPECT_NE(hash<double>{}(1.0), hash<double>{}(-1.0));
    EXPECT_NE(hash<double>{}(0.0), hash<double>{}(std::numeric_limits<double>::denorm_min()));
}

TEST(hash, tells_bools_characters_and_enumerators_apart) {
    EXPECT_NE(hash<bool>{}(true), hash<bool>{}(false));
    EXPECT_NE(hash<char>{}('a'), hash<char>{}('b'));
    EXPECT_NE(hash<char32_t>{}(U'a'), hash<char32_t>{}(U'b'));
    EXPECT_NE(hash<colour>{}(colour::red), hash<colour>{}(colour::green));
    EXPECT_EQ(hash<colour>{}(colour::green), hash<std::uint8_t>{}(1));
}

TEST(hash, order_and_place_matter_in_pairs_tuples_and_arrays) {
    using pair = std::pair<int, int>;
    EXPECT_NE(hash<pair>{}({1, 2}), hash<pair>{}({2, 1}));
    EXPECT_NE(hash<pair>{}({1, 1}), hash<pair>{}({2, 2}));
    using triple = std::tuple<int, std::string, bool>;
    EXPECT_EQ(hash<triple>{}({1, "x", true}), hash<triple>{}({1, "x", true}));
    EXPECT_NE(hash<triple>{}({1, "x", true}), hash<triple>{}({1, "x", false}));
    EXPECT_NE(hash<triple>{}({1, "x", true}), hash<triple>{}({1, "y", true}));
    using doubles = std::array<double, 2>;
    EXPECT_NE(hash<doubles>{}({1, 2}), hash<doubles>{}({2, 1}));
    EXPECT_EQ(hash<doubles>{}({0.0, 2}), hash<doubles>{}({-0.0, 2}));
    using id = std::array<std::uint8_t, 16>;
    EXPECT_NE(hash<id>{}({1, 2}), hash<id>{}({2, 1}));
    EXPECT_EQ(hash<std::tuple<>>{}({}), hash<std::tuple<>>{}({}));
}

TEST(hash, an_empty_optional_differs_from_one_that_holds_zero) {
    EXPECT_NE(hash<std::optional<int>>{}(std::nullopt), hash<std::optional<int>>{}(0));
    EXPECT_EQ(hash<std::optional<int>>{}(7), hash<std::optional<int>>{}(7));
    EXPECT_NE(hash<std::optional<int>>{}(7), hash<std::optional<int>>{}(8));
}

TEST(hash, falls_back_to_std_hash_and_finishes_it) {
    EXPECT_EQ(hash<with_std_hash>{}({5}), hash_mix(5));
    const auto shared = std::make_shared<int>(1);
    EXPECT_EQ(hash<std::shared_ptr<int>>{}(shared), hash_mix(std::bit_cast<std::uintptr_t>(shared.get())));
    EXPECT_NE(hash<std::bitset<4>>{}(1), hash<std::bitset<4>>{}(2));
    static_assert(!std::is_invocable_v<hash<without_hash>, without_hash>);
}

TEST(hash, serves_standard_containers) {
    std::unordered_map<std::string, int, hash<std::string>, std::equal_to<>> map;
    map["a"] = 1;
    EXPECT_EQ(map.find("a"sv)->second, 1);
    std::unordered_set<std::pair<int, int>, hash<std::pair<int, int>>> set;
    set.insert({1, 2});
    EXPECT_TRUE(set.contains({1, 2}));
    EXPECT_FALSE(set.contains({2, 1}));
}

TEST(finalised_hash, mixes_the_identity_that_std_hash_is_for_integers) {
    static_assert(!levee::is_avalanching<std::hash<int>>);
    EXPECT_EQ(finalised_hash(std::hash<int>{}, 42), hash_mix(42));
    EXPECT_EQ(finalised_hash(identity{}, 42U), hash_mix(42));
    EXPECT_EQ(finalised_hash(bad_by_false_type{}, 42U), hash_mix(42));
}

TEST(finalised_hash, leaves_an_avalanching_hash_of_64_bits_as_it_is) {
    EXPECT_EQ(finalised_hash(good_64_bits{}, 42U), 42U);
    EXPECT_EQ(finalised_hash(good_by_true_type{}, 42U), 42U);
    EXPECT_EQ(finalised_hash(hash<int>{}, 42), hash<int>{}(42));
    EXPECT_EQ(finalised_hash(hash<std::string>{}, "x"sv), hash<std::string>{}("x"));
}

TEST(finalised_hash, mixes_an_avalanching_hash_of_32_bits_since_its_high_bits_are_empty) {
    EXPECT_EQ(finalised_hash(good_32_bits{}, 42U), hash_mix(42));
}

}  // namespace
