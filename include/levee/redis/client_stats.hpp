/// What a client has done so far.
#pragma once

#include <cstddef>
#include <cstdint>

namespace levee::redis {

/// Of the shared connections together. Counts never go back.
struct client_stats {
    std::uint64_t sent = 0;             ///< Commands sent, a pipeline counting as one; repetitions counted.
    std::uint64_t repeated = 0;         ///< Idempotent ones sent again after a connection broke.
    std::uint64_t timed_out = 0;        ///< Ended by their deadline.
    std::uint64_t dropped_late = 0;     ///< Replies that came when nobody waited for them any more.
    std::uint64_t connects = 0;         ///< Connections made.
    std::uint64_t disconnects = 0;      ///< Connections broken.
    std::uint64_t failed_attempts = 0;  ///< Attempts to connect that failed.
    std::size_t connected = 0;          ///< Connections that stand now.
    std::size_t pending = 0;            ///< Commands that wait now, to be sent or answered.
};

}  // namespace levee::redis
