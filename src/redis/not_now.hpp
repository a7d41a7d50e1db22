/// What "not now" of Redis means to those who know stores and not Redis.
#pragma once

#include <system_error>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {

/// No connection, too much queued, or an answer that says "later": nothing was done.
[[nodiscard]] inline bool is_not_now(const std::error_code& code) noexcept {
    return code == errc::not_connected || code == errc::queue_full || is_transient(code);
}

/// levee::errc::unavailable in the place of those; anything else as it is.
[[noreturn]] inline void rethrow_as_unavailable(const error& why) {
    if (is_not_now(why.code())) {
        throw error(make_error_code(levee::errc::unavailable), why.what(), why.may_have_been_executed());
    }
    throw why;
}

}  // namespace levee::redis::detail
