/// Brings records to segments, and segments to the medium.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/journal/journal_event.hpp"
#include "levee/journal/journal_files.hpp"
#include "levee/journal/journal_options.hpp"

namespace levee::journal_detail {

/// A segment that is there.
struct segment_info {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    std::uint64_t last = 0;  // no record in it that counts has a higher sequence
};

/// Does the journal's writing, for one thread at a time: whoever leads.
///
/// What is not on the medium yet stays in the backlog, so that it can be written again, to another segment,
/// when writing or syncing fails. A file that failed once is never touched again. With `off` the backlog
/// holds only what the kernel has not taken.
class segment_writer {
public:
    struct place {
        std::vector<segment_info> segments{};  // in order
        std::uint64_t next_number = 1;
        std::uint64_t previous = 0, previous_length = 0;  // of the last segment, and what of it counts
        std::uint64_t last_sequence = 0;                  // all up to it is on the medium
        std::uint64_t mark = 0;
    };

    segment_writer(journal_files& files, const journal_options& options, place at);

    /// Begins a segment and syncs it. Throws what `files` throws.
    void open();

    /// Writes the records of `batch`, the last of which is `last`, after what is in the backlog; syncs if
    /// asked to, or if it must after a failure. When this fails twice (or there was no segment, and none can
    /// be begun) records after `acknowledged` are forgotten. Returns what failed then; null: all went well.
    std::exception_ptr commit(const bytes& batch, std::uint64_t last, std::uint64_t mark, bool with_sync,
                              std::uint64_t acknowledged);

    /// Deletes segments from the front while all their records are released. Never the current one.
    void free_released(std::uint64_t mark);

    /// Closes the current file. Nothing may be written after it.
    void close() noexcept { file_.reset(); }

    [[nodiscard]] std::uint64_t written_through() const noexcept { return written_through_; }
    [[nodiscard]] std::uint64_t durable_through() const noexcept { return durable_through_; }
    [[nodiscard]] std::uint64_t bytes_on_disk() const noexcept { return total_; }
    [[nodiscard]] std::uint64_t segments() const noexcept { return segments_.size(); }
    [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }
    [[nodiscard]] std::uint64_t synced_records() const noexcept { return synced_records_; }
    [[nodiscard]] std::uint64_t given_up() const noexcept { return given_up_; }
    [[nodiscard]] bool has_backlog() const noexcept { return !backlog_.empty(); }

    /// The first segment's last sequence if it may be deleted when that is released, else the highest number.
    [[nodiscard]] std::uint64_t front_last() const noexcept;

    /// What happened since the last call.
    [[nodiscard]] std::vector<journal_event> take_events() { return std::exchange(events_, {}); }

private:
    void push(bool with_sync);
    std::size_t chunk_size(std::size_t room, std::uint64_t& last) const;
    void begin();
    void write_all(bytes_view data);
    void sync_current();
    void forget_written();
    void give_up(const std::exception_ptr& why);
    void drop_after(std::uint64_t acknowledged);

    journal_files& files_;
    const journal_sync policy_;
    const std::uint64_t segment_bytes_;
    const std::uint64_t max_bytes_;

    std::deque<segment_info> segments_;  // the last is the current one, if `file_` is set
    std::unique_ptr<journal_file> file_{};
    std::uint64_t next_number_;
    std::uint64_t predecessor_ = 0;  // what the newest segment's header says of the one before
    std::uint64_t predecessor_length_ = 0;
    std::uint64_t previous_;         // the newest segment,
    std::uint64_t previous_length_;  // and what of it counts, once it has ended
    std::uint64_t whole_ = 0;        // bytes of the current one, up to the last whole record
    std::uint64_t synced_ = 0;       // of these, on the medium
    std::uint64_t total_ = 0;
    std::uint64_t mark_;
    bool is_folder_dirty_ = false;  // a new name is not on the medium
    bool is_removal_dirty_ = false;
    bool is_syncing_ = false;  // or the last sync failed
    bool must_sync_ = false;   // after a failure: the backlog may hold what was acknowledged

    bytes backlog_{};  // records not on the medium, the first `cursor_` bytes written
    std::size_t cursor_ = 0;
    std::uint64_t backlog_last_;  // the last record's sequence in, or before, the backlog
    std::uint64_t written_through_;
    std::uint64_t durable_through_;

    std::uint64_t syncs_ = 0, synced_records_ = 0, given_up_ = 0;
    std::vector<journal_event> events_{};
};

}  // namespace levee::journal_detail
