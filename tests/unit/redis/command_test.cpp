#include "levee/redis/command.hpp"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <string>
#include <vector>

#include "levee/core/random.hpp"

namespace levee::redis {
namespace {

std::string as_hiredis_does(const std::vector<std::string>& words) {
    std::vector<const char*> starts;
    std::vector<std::size_t> sizes;
    for (const std::string& each : words) {
        starts.push_back(each.data());
        sizes.push_back(each.size());
    }
    char* made = nullptr;
    const auto size =
        redisFormatCommandArgv(&made, static_cast<int>(words.size()), starts.data(), sizes.data());
    std::string wire(made, static_cast<std::size_t>(size));
    redisFreeCommand(made);
    return wire;
}

TEST(redis_command, encodes_as_hiredis_does_for_any_bytes_and_any_number_of_words) {
    xoshiro256 random(7);
    for (const std::size_t count : {1U, 2U, 9U, 10U, 11U, 99U, 100U, 101U, 1001U}) {
        std::vector<std::string> words{"NAME"};
        while (words.size() < count) {
            std::string word(uniform_below(random, 40), '\0');
            for (char& each : word) {
                each = static_cast<char>(random());
            }
            words.push_back(word);
        }
        command made(words[0]);
        for (std::size_t i = 1; i < words.size(); ++i) {
            made.add(words[i]);
        }
        EXPECT_EQ(made.size(), count);
        EXPECT_EQ(made.wire(), as_hiredis_does(words)) << count << " words";
    }
}

TEST(redis_command, writes_numbers_so_that_they_read_back_the_same) {
    const std::int64_t least = (std::numeric_limits<std::int64_t>::min)();
    const std::uint64_t most = (std::numeric_limits<std::uint64_t>::max)();
    EXPECT_EQ(command("X", least, most, 0, 0.1, 1e300).wire(),
              as_hiredis_does({"X", "-9223372036854775808", "18446744073709551615", "0", "0.1", "1e+300"}));
}

TEST(redis_command, takes_bytes) {
    const bytes raw{std::byte{0}, std::byte{255}};
    EXPECT_EQ(command("X", raw).wire(), as_hiredis_does({"X", std::string("\0\xff", 2)}));
}

TEST(redis_pipeline, joins_its_commands_in_order) {
    pipeline all;
    all.add("GET", "a").add(command("SET", "b", 1));
    EXPECT_EQ(all.size(), 2U);
    EXPECT_EQ(all.wire(), as_hiredis_does({"GET", "a"}) + as_hiredis_does({"SET", "b", "1"}));
}

}  // namespace
}  // namespace levee::redis
