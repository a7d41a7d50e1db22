/// What a journal tells its observer, and what it found when it was opened.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

namespace levee {

/// What kind of unreadable bytes were found in a segment.
enum class journal_damage_kind : std::uint8_t {
    /// The end of the last segment, with nothing readable after it: a write that the end of the process or
    /// of the power cut short. Cut off. (Bits that rotted in the very last records look the same.)
    torn_tail,
    /// Readable records follow, and nothing says that this had been synced: a power loss that wrote pages in
    /// another order, or, with `journal_sync::off`, anything. The readable records are replayed.
    unsynced_hole,
    /// It had been synced: records were acknowledged and are gone. The readable records are replayed.
    corrupt,
};

/// One unreadable stretch of a segment. Except for torn tails, the segment as it was found is kept aside as
/// `kept_as`, for people and tools; the journal never looks at it again and never deletes it.
struct journal_damage {
    journal_damage_kind kind{};
    std::string segment{};         ///< The file's name in the folder.
    std::uint64_t offset = 0;      ///< Where the stretch begins.
    std::uint64_t size = 0;        ///< Its length in bytes; what is missing at a file's end included.
    std::uint64_t first_lost = 0;  ///< Sequences that are missing and had not been released: from here
    std::uint64_t last_lost =
        0;                  ///< to here; less than `first_lost`: none. (Upper bound.) Unknown in torn tails.
    std::string kept_as{};  ///< Empty for torn tails.
};

/// What was found when the journal was opened.
struct journal_recovery {
    std::uint64_t segments = 0;          ///< Segments found.
    std::uint64_t bytes = 0;             ///< Their size.
    std::uint64_t replayed = 0;          ///< Records given to the visitor.
    std::uint64_t released_through = 0;  ///< Everything up to this sequence was known to be released.
    std::uint64_t last_sequence = 0;     ///< The next record's is higher.
    std::vector<journal_damage> damage{};
};

enum class journal_event_kind : std::uint8_t {
    damaged,        ///< Found while opening: `damage`.
    segment_began,  ///< `segment` is the current one.
    segment_freed,  ///< All of `segment`'s records are released; it was deleted.
    /// Writing or syncing `segment` failed (`error`). The file is given up: what it holds unsynced is written
    /// again to a new one, and who waits is told of success if that succeeds.
    segment_given_up,
    /// That failed as well (`error`). Whoever waits for `first` to `last` gets the error; these records are
    /// forgotten, though a later replay may still find them. The next records try a new segment.
    records_failed,
    /// With `every`: `first` to `last` were acknowledged when they were written, and cannot be brought to the
    /// medium (`error`). They are kept in memory and tried again with what comes next.
    records_at_risk,
    remove_failed,  ///< `segment` could not be deleted (`error`); tried again with the next one.
};

struct journal_event {
    journal_event_kind kind{};
    std::string segment{};
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::exception_ptr error{};
    journal_damage damage{};
};

}  // namespace levee
