// CRC-32C against the published vectors, both ways of computing it.
#include "journal/crc32c.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "levee/core/random.hpp"

namespace {

using levee::bytes;
using levee::journal_detail::crc32c;
using levee::journal_detail::crc32c_portable;

void expect(levee::bytes_view data, std::uint32_t published) {
    EXPECT_EQ(crc32c(data), published);
    EXPECT_EQ(crc32c_portable(data), published);
}

TEST(crc32c, gives_the_published_values) {
    expect({}, 0);
    expect(levee::as_bytes("123456789"), 0xe3069283);  // the check value of the catalogues
    // RFC 3720, B.4
    expect(bytes(32), 0x8a9136aa);
    expect(bytes(32, std::byte{0xff}), 0x62a8ab43);
    bytes rising(32);
    bytes falling(32);
    for (std::size_t i = 0; i < 32; ++i) {
        rising[i] = static_cast<std::byte>(i);
        falling[31 - i] = static_cast<std::byte>(i);
    }
    expect(rising, 0x46dd794e);
    expect(falling, 0x113fdb5c);
    bytes read_command(48);  // an iSCSI SCSI Read (10) command
    read_command[0] = std::byte{0x01};
    read_command[1] = std::byte{0xc0};
    read_command[16] = std::byte{0x14};
    read_command[22] = std::byte{0x04};
    read_command[27] = std::byte{0x14};
    read_command[31] = std::byte{0x18};
    read_command[32] = std::byte{0x28};
    read_command[40] = std::byte{0x02};
    expect(read_command, 0xd9963a56);
}

TEST(crc32c, is_the_same_with_and_without_the_instruction) {
    levee::xoshiro256 random(7);
    bytes data(200);
    for (std::byte& each : data) {
        each = static_cast<std::byte>(random());
    }
    for (std::size_t begin = 0; begin < 16; ++begin) {
        for (std::size_t size = 0; size + begin <= data.size(); ++size) {
            const auto part = levee::bytes_view(data).subspan(begin, size);
            ASSERT_EQ(crc32c(part), crc32c_portable(part)) << begin << " " << size;
        }
    }
}

}  // namespace
