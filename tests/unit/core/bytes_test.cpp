#include "levee/core/bytes.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace {

using levee::as_bytes;
using levee::as_text;
using levee::bytes;
using namespace std::string_view_literals;

TEST(as_bytes, shows_the_texts_own_storage) {
    const std::string text = "levee";
    const levee::bytes_view view = as_bytes(text);
    EXPECT_EQ(static_cast<const void*>(view.data()), text.data());
    EXPECT_EQ(view.size(), text.size());
    EXPECT_EQ(view[1], std::byte{'e'});
}

TEST(as_bytes, keeps_nul_and_bytes_above_127) {
    const levee::bytes_view view = as_bytes("a\0\xff"sv);
    ASSERT_EQ(view.size(), 3U);
    EXPECT_EQ(view[1], std::byte{0});
    EXPECT_EQ(view[2], std::byte{0xff});
}

TEST(as_text, undoes_as_bytes) {
    for (const std::string_view text : {""sv, "x"sv, "a\0b\xff"sv}) {
        EXPECT_EQ(as_text(as_bytes(text)), text);
        EXPECT_EQ(as_text(as_bytes(text)).data(), text.data());
    }
}

TEST(as_text, takes_no_bytes) {
    EXPECT_EQ(as_text(bytes{}), "");
    EXPECT_EQ(as_text({}), "");
    EXPECT_TRUE(as_bytes(std::string_view()).empty());
}

}  // namespace
