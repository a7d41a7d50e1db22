/// The Lua scripts of `redis::store`: each does one thing to one key, at the server's time, in one round
/// trip.
#pragma once

#include "levee/redis/script.hpp"

namespace levee::redis::detail {

/// Every script answers an array that begins with what came of it and the server's time in microseconds; but
/// for a lease that finds what is fresh.
struct store_scripts {
    /// token, lease in microseconds, how → the entry if it is fresh, as it lies there; else {1 granted or 2
    /// busy, time, what is left of the lease, the entry or nil}. How: '0'; 't' for {0, time, 0, entry} in
    /// place of the entry alone; '1' to lease also what is fresh. Asked again with the same token it grants
    /// again.
    script lease;
    script fill;          ///< token, fresh, stale (microseconds or -1), tail → {1 done or 0 refused, time}
    script extend;        ///< token, lease → {1 or 0, time}
    script release;       ///< token → {1 or 0, time}
    script put;           ///< fresh, stale, tail → {1, time}
    script put_if_newer;  ///< fresh, stale, tail → {1 or 0, time}
    script begin_write;   ///< token, lease → {1, time}
    script expire;        ///< → {1, time}
    script touch;         ///< fresh, stale → {1 or 0, time}
    script marks;         ///< least count → {1, time, names and numbers in turn}
    script mark;          ///< least count, name, most names → {count, time}

    store_scripts();
};

/// What a server must be able to do for them: → "levee".
extern const char* const probe_script;

/// Made when first asked for.
[[nodiscard]] const store_scripts& scripts();

}  // namespace levee::redis::detail
