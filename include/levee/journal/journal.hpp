/// A journal: records that survive the process and the power until they are released.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>

#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"
#include "levee/journal/journal_event.hpp"
#include "levee/journal/journal_options.hpp"
#include "levee/journal/journal_stats.hpp"

namespace levee {

/// An append-only log in segments, for work that must not be forgotten between its acknowledgement and its
/// end: a write that has yet to reach the database. It knows bytes, not what they mean.
///
///     levee::journal log({.folder = "/var/lib/shop/journal"},
///                        [&](std::uint64_t sequence, levee::bytes_view record) { redo(sequence, record); });
///     const std::uint64_t sequence = log.append(record);   // into memory, numbered
///     log.wait_durable(sequence, deadline);                // now it may be acknowledged
///     …                                                    // the work is done, elsewhere, in any order
///     log.release(sequence);                               // it need not be kept any longer
///
/// *Group commit.* There is no thread in here. The first who waits writes and syncs all that has been
/// appended, on its own thread; whoever appends meanwhile is served by the next sync, which one of them does.
/// So one sync serves many writers, and a lone writer waits for nobody. With `always`, who leads a sync lets
/// those come back whom the one before served, if they do: for half the time that a sync takes, and 1 ms, at
/// most. Asynchronous writers use
/// `when_durable`, and lend a thread through `journal_options::schedule` and `run_sync`.
///
/// *Release and replay.* Records are released in any order. The journal keeps a mark: everything up to it is
/// released. When it is opened again, all records after the mark are replayed, in the order in which they
/// were appended: those not released, and released ones that follow one that was not, or that were released
/// less than a second (if `run_sync` is called as asked for) or 64 KiB of records before the end. So the
/// replay is at least once, a gapless suffix of the history, and a record is never replayed without those
/// that came after it: applying it in order ends in the state of the last one, however often it is repeated.
/// After `close` with nothing pending nothing is replayed. A segment is deleted when the mark has passed it,
/// so one record that is never released keeps all that follow it: give it up elsewhere and release it.
///
/// *Failures.* A segment that could not be written or synced is given up, and never synced again; what is not
/// on the medium goes to a new one. If that fails as well (the disk is full, or gone), whoever waits for
/// these records gets the error, and the journal goes on with the next record: as soon as there is room again
/// it works again. A record whose waiter got an error is released by the journal; it may be replayed all the
/// same. Failures are remembered for those who ask later: 4,096 of them, and of older ones that everything
/// from the first to the last failed.
///
/// *Bounds.* `max_bytes` is never overrun: `append` throws `errc::full`. What has been appended and not been
/// written is in memory; it is bounded by how many records their owners append without waiting for them.
///
/// *The format* is in journal_format.hpp.
///
/// Thread safety: safe on a shared object; the constructor and the destructor alone are for one thread.
class journal {
public:
    /// A record to be done again. The bytes live during the call.
    using visitor = std::function<void(std::uint64_t sequence, bytes_view record)>;

    /// Locks the folder, reads what is there, calls `replay` for each record after the mark, in order, and
    /// begins a new segment. Replayed records are pending until they are released, by the sequences told.
    ///
    /// Blocks: while it reads. Errors: std::invalid_argument for options; levee::error:
    /// `errc::unavailable` if the folder has another owner, `errc::invalid_data` if a segment is of a newer
    /// version, the system's code otherwise; what `replay` throws. After an error the folder is as it was, or
    /// recovered, and can be opened again.
    journal(journal_options options, const visitor& replay);

    /// Closes as `close` does, and keeps quiet about errors. Nobody may be waiting in `wait_durable`.
    ~journal();

    journal(const journal&) = delete;
    journal& operator=(const journal&) = delete;

    /// What was found when it was opened.
    [[nodiscard]] const journal_recovery& recovery() const noexcept;

    /// Copies `record` into the write buffer and answers its sequence: one more than the one before, from 1.
    /// It is not safe yet: see `wait_durable`. An empty record is one, too.
    ///
    /// Blocks: never on the disk. Errors: levee::error: `errc::full` (nothing was appended),
    /// `std::errc::message_size` if it does not fit into a segment, `errc::closed`. Cost: about 0.1 µs and
    /// the checksum.
    std::uint64_t append(bytes_view record);

    /// The same for some that follow each other; all or none. Answers the first one's sequence; of none, what
    /// the next record's will be.
    std::uint64_t append(std::span<const bytes_view> records);

    /// Returns when the record is as safe as `journal_options::sync` says.
    ///
    /// Blocks: until then, or until `deadline` while another thread syncs. If nobody does, it writes and
    /// syncs on this thread, and then it is held for as long as the disk takes. Errors: levee::error:
    /// `errc::timeout` (the record may still become safe), the system's code if it could not be written (see
    /// *Failures*); std::out_of_range for a sequence that was never given out.
    void wait_durable(std::uint64_t sequence, time_point deadline);

    /// Calls `done` once, with null or with what `wait_durable` would throw (but no timeout): at once if that
    /// is known, otherwise on the thread that syncs, under no lock. `done` must not block; it may use the
    /// journal, but not close it; what it throws is ignored. Errors: std::out_of_range.
    void when_durable(std::uint64_t sequence, std::function<void(std::exception_ptr)> done);

    /// Does what is due: writes and syncs what is waited for or old enough, writes the mark, deletes
    /// segments. If another thread is at it, returns at once. Never throws; who waits is told. Blocks: on the
    /// disk.
    void run_sync() noexcept;

    /// When `run_sync` should be called next, by the journal's clock, if nothing happens until then; the
    /// highest time_point: never. For those who have their own loop instead of `schedule`.
    [[nodiscard]] time_point next_sync_at() const;

    /// The work of these records is done, or given up; they need not be replayed. Known to be released
    /// already: nothing happens. Release a record before, or in the same call as, the one that replaces it.
    ///
    /// Blocks: while it deletes a segment that is no longer needed. Errors: std::out_of_range.
    void release(std::uint64_t sequence);
    void release(std::span<const std::uint64_t> sequences);

    /// Brings all that has been appended to the medium now, whatever `journal_options::sync` is. Blocks and
    /// errors: as `wait_durable`.
    void sync(time_point deadline);

    /// Writes and syncs what is left (with `off`: writes), and the mark, and frees the folder. Async waiters
    /// are told. What is pending stays in the folder for the next owner. Later calls do nothing. Errors: as
    /// `wait_durable`; it is closed all the same.
    void close();

    [[nodiscard]] journal_stats stats() const;

private:
    class core;
    const std::unique_ptr<core> core_;
};

}  // namespace levee
