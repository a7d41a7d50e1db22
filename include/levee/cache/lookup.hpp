/// What a look-up can say about a key.
#pragma once

#include <cstdint>
#include <optional>

#include "levee/core/clock.hpp"

namespace levee {

/// How far what was found may be trusted.
enum class entry_state : std::uint8_t {
    miss,      ///< Nothing is known about the key.
    fresh,     ///< A value within its life.
    stale,     ///< A value past its life, kept as a reserve.
    suspect,   ///< A value that an invalidation may have missed.
    negative,  ///< The source is known not to have the key.
};

/// Where it was found.
enum class cache_level : std::uint8_t { none, local, remote };

/// A value with what is known of it: `cache::lookup`.
template <class V>
struct lookup_result {
    entry_state state = entry_state::miss;
    std::optional<V> value{};
    cache_level level = cache_level::none;
    duration age{};  ///< Since L1 has it; zero for a miss, and for what was fetched from the remote level.
    std::uint64_t version = 0;  ///< The source's; 0: it has none.
};

/// How far an invalidation got before the call returned.
enum class reach : std::uint8_t {
    acknowledged,  ///< Every level that this cache has dropped the key, and the backplane has the message.
    queued,        ///< One of them did not answer; it is told until it does, and not read before.
};

}  // namespace levee
