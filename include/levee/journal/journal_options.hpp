/// What a journal is made from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "levee/core/clock.hpp"
#include "levee/journal/journal_event.hpp"
#include "levee/journal/journal_files.hpp"

namespace levee {

/// When a record is safe, which is what `journal::wait_durable` waits for. Every one of them survives the
/// death of the process (kill -9); they differ when the power goes or the kernel dies.
enum class journal_sync : std::uint8_t {
    always,  ///< When it is on the medium: nothing that was acknowledged is lost.
    every,   ///< When the kernel has it; on the medium `sync_interval` later: at most that much is lost.
    off,     ///< When the kernel has it; on the medium when the kernel sees fit.
};

/// Essential: `folder`. Frequent: `sync`, `max_bytes`, `schedule`. Rare: the rest.
struct journal_options {
    /// Where the segments are, for this journal alone. Made if it is missing. Not empty unless `files` is
    /// set.
    std::string folder{};

    /// The default loses nothing; with concurrent writers one sync serves many (group commit).
    journal_sync sync = journal_sync::always;

    /// With `every`: how old the oldest record may become that is not on the medium. With `every` and `off`:
    /// how long after an append nobody waits for it is written at the latest. Both need somebody who calls
    /// `run_sync` in time: see `schedule`. In [100 us, 1 h].
    duration sync_interval = std::chrono::milliseconds(10);

    /// A segment is closed, and the next one begun, before it would grow beyond this; disk is given back in
    /// such pieces. A record and its 32 bytes of header must fit. In [4 KiB, 1 GiB].
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;

    /// The segments' size together, at most. What does not fit is refused with `errc::full`: nothing old is
    /// overwritten, nothing new is dropped after it was accepted. Segments kept aside as damaged, and the MiB
    /// at most that is allocated ahead, do not count. At least three segments. 0: as much as the disk has
    /// (then append succeeds, and waiting tells ENOSPC).
    std::uint64_t max_bytes = std::uint64_t{1} << 30;

    /// Asked to see to it that `run_sync` is called once, at the given time (often a past one: as soon as
    /// possible), by a thread that may block on the disk: post it to an executor, or set a timer. Called on
    /// the threads that append, wait or release, under no lock; must not block, must not call `run_sync`
    /// itself; what it throws is ignored. A later request for an earlier time comes if needed; run_sync may
    /// be called more often than asked. Empty: nobody is asked; then blocking waiters do all syncs, and
    /// whoever uses `when_durable` calls `run_sync` regularly.
    std::function<void(time_point when)> schedule{};

    /// Told what went wrong, on the thread where it happened, under no lock. It must not block nor use the
    /// journal; what it throws is ignored. Empty: nobody.
    std::function<void(const journal_event&)> observer{};

    /// Where the interval's time is read. It must outlive the journal. Null: `clock::precise()`.
    const levee::clock* clock = nullptr;

    /// The disk. Null: `posix_journal_files(folder)`.
    std::shared_ptr<journal_files> files{};
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const journal_options& options);

}  // namespace levee
