/// What a journal counts.
#pragma once

#include <cstdint>

#include "levee/core/clock.hpp"

namespace levee {

struct journal_stats {
    // Now.
    std::uint64_t bytes = 0;             ///< Of all segments, and of what is still to be written.
    std::uint64_t segments = 0;          ///< Files, the current one included.
    std::uint64_t pending = 0;           ///< Records appended, or replayed, and not released.
    std::uint64_t last_sequence = 0;     ///< Of the newest record. 0: there never was one.
    std::uint64_t durable_through = 0;   ///< The newest sequence that is safe as `journal_sync` says.
    std::uint64_t released_through = 0;  ///< Everything up to here is released.
    std::uint64_t marked_through = 0;    ///< And is not replayed: the mark is as safe as records are.
    std::uint64_t lag = 0;               ///< Records appended that are not on the medium yet.
    duration oldest_lag{};               ///< The age of the oldest of these, by the journal's clock.

    // Since it was opened.
    std::uint64_t appended = 0;
    std::uint64_t refused = 0;         ///< Appends refused because the journal was full.
    std::uint64_t syncs = 0;           ///< Successful ones of segments.
    std::uint64_t synced_records = 0;  ///< Brought to the medium by them: records per sync is the quotient.
    std::uint64_t given_up = 0;        ///< Segments given up after a write or a sync that failed.
    std::uint64_t failed = 0;          ///< Records whose waiters were told an error.

    [[nodiscard]] double records_per_sync() const noexcept {
        return syncs == 0 ? 0.0 : static_cast<double>(synced_records) / static_cast<double>(syncs);
    }
};

}  // namespace levee
