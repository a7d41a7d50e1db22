/// What reading a value is refused with.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "levee/core/error.hpp"

namespace levee::tests {

/// What the error says with which `f` refuses bytes, types or columns; empty: it refuses nothing.
template <class F>
std::string refusal(F&& f) {
    try {
        f();
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::invalid_data);
        return e.what();
    }
    return "";
}

}  // namespace levee::tests

#define EXPECT_REFUSED(expression, part)                                                                   \
    EXPECT_NE(levee::tests::refusal([&] { static_cast<void>(expression); }).find(part), std::string::npos) \
        << levee::tests::refusal([&] { static_cast<void>(expression); })
