#include "journal/segment_writer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "journal/record.hpp"
#include "journal/segment_names.hpp"
#include "levee/core/error.hpp"

namespace levee::journal_detail {

using namespace journal_format;

segment_writer::segment_writer(journal_files& files, const journal_options& options, place at)
    : files_(files),
      policy_(options.sync),
      segment_bytes_(options.segment_bytes),
      max_bytes_(options.max_bytes == 0 ? std::numeric_limits<std::uint64_t>::max() : options.max_bytes),
      segments_(at.segments.begin(), at.segments.end()),
      next_number_(at.next_number),
      previous_(at.previous),
      previous_length_(at.previous_length),
      mark_(at.mark),
      backlog_last_(at.last_sequence),
      written_through_(at.last_sequence),
      durable_through_(at.last_sequence) {
    for (const segment_info& each : segments_) {
        total_ += each.bytes;
    }
}

void segment_writer::open() {
    begin();
    sync_current();
    syncs_ = 0;  // of records, it was none
}

std::exception_ptr segment_writer::commit(const bytes& batch, std::uint64_t last, std::uint64_t mark,
                                          bool with_sync, std::uint64_t acknowledged) {
    backlog_.insert(backlog_.end(), batch.begin(), batch.end());
    backlog_last_ = std::max(backlog_last_, last);
    mark_ = mark;
    const std::uint64_t before = durable_through_;
    std::exception_ptr failed;
    for (bool is_retry = false;; is_retry = true) {
        const bool had_segment = file_ != nullptr;
        try {
            push(with_sync || (must_sync_ && policy_ != journal_sync::off));
            failed = nullptr;
        } catch (...) {
            failed = std::current_exception();
            give_up(failed);
            if (policy_ == journal_sync::off && backlog_.empty()) {
                break;  // it was the sync, and what it was to bring to the medium is not kept
            }
            if (!is_retry && had_segment) {
                continue;
            }
        }
        break;
    }
    if (failed) {
        drop_after(acknowledged);
    }
    synced_records_ += durable_through_ - before;
    return failed;
}

void segment_writer::push(bool with_sync) {
    while (cursor_ < backlog_.size()) {
        if (file_ == nullptr) {
            begin();
        }
        std::uint64_t last = written_through_;
        const std::size_t chunk = chunk_size(segment_bytes_ - std::min(segment_bytes_, whole_), last);
        if (chunk == 0) {  // full
            if (synced_ < whole_) {
                sync_current();
            }
            previous_length_ = whole_;
            file_.reset();
            continue;
        }
        if (total_ + chunk > max_bytes_) {
            throw error(errc::full, "journal " + files_.name() + ": writing again what a failure left over");
        }
        segments_.back().last = std::max(segments_.back().last, last);
        write_all(bytes_view(backlog_).subspan(cursor_, chunk));
        cursor_ += chunk;
        whole_ += chunk;
        written_through_ = last;
        if (policy_ == journal_sync::off) {
            forget_written();
        }
    }
    if (with_sync && file_ != nullptr && synced_ < whole_) {
        sync_current();
    }
}

/// How much of the backlog, in whole records, fits into `room`; `last`: the last one's sequence.
std::size_t segment_writer::chunk_size(std::size_t room, std::uint64_t& last) const {
    const std::size_t rest = backlog_.size() - cursor_;
    if (rest <= room) {
        last = backlog_last_;
        return rest;
    }
    std::size_t size = 0;
    while (size < rest) {
        const record_header header = trusted_record_header(bytes_view(backlog_).subspan(cursor_ + size));
        if (size + record_header_size + header.length > room) {
            break;
        }
        size += record_header_size + header.length;
        if (header.kind == record_kind::record) {
            last = header.sequence;
        }
    }
    return size;
}

void segment_writer::begin() {
    const std::uint64_t number = next_number_++;
    const std::string name = segment_name(number);
    bytes header;
    append_header(header, {.flags = policy_ == journal_sync::off ? unsynced_flag : 0,
                           .number = number,
                           .first_sequence = written_through_ + 1,
                           .mark = mark_,
                           .previous = previous_,
                           .previous_length = previous_length_});
    file_ = files_.create(name, segment_bytes_);
    is_folder_dirty_ = true;
    segments_.push_back({.number = number, .bytes = 0, .last = written_through_});
    try {
        write_all(header);
    } catch (...) {
        file_.reset();
        total_ -= segments_.back().bytes;
        try {
            files_.remove(name);
        } catch (...) {
            // It stays behind as a void one; whoever opens the journal next removes it.
        }
        segments_.pop_back();
        throw;
    }
    predecessor_ = previous_;
    predecessor_length_ = previous_length_;
    previous_ = number;
    whole_ = segment_header_size;
    synced_ = 0;
    events_.push_back(
        {.kind = journal_event_kind::segment_began, .segment = name, .first = written_through_ + 1});
}

void segment_writer::write_all(bytes_view data) {
    while (!data.empty()) {
        const std::size_t count = file_->write(data);
        segments_.back().bytes += count;
        total_ += count;
        data = data.subspan(count);
    }
}

void segment_writer::sync_current() {
    is_syncing_ = true;
    file_->sync();
    is_syncing_ = false;
    if (is_folder_dirty_) {
        files_.sync_folder();
        is_folder_dirty_ = false;
    }
    ++syncs_;
    synced_ = whole_;
    must_sync_ = false;
    durable_through_ = written_through_;
    forget_written();
}

void segment_writer::forget_written() {
    if (cursor_ == backlog_.size()) {
        backlog_.clear();
    } else {
        backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(cursor_));
    }
    cursor_ = 0;
}

void segment_writer::give_up(const std::exception_ptr& why) {
    if (file_ == nullptr) {
        return;
    }
    ++given_up_;
    events_.push_back({.kind = journal_event_kind::segment_given_up,
                       .segment = segment_name(segments_.back().number),
                       .first = durable_through_ + 1,
                       .last = written_through_,
                       .error = why});
    if (policy_ == journal_sync::off && !is_syncing_) {
        try {
            file_->sync();  // what it took before a write failed is kept nowhere else
        } catch (...) {
            // Told already: it is given up.
        }
    }
    is_syncing_ = false;
    file_.reset();
    previous_length_ = policy_ == journal_sync::off ? whole_ : synced_;
    if (previous_length_ == 0) {
        // Nothing of it is certain to be there, so the next segment does not name it: it is void.
        previous_ = predecessor_;
        previous_length_ = predecessor_length_;
    }
    if (policy_ != journal_sync::off) {
        written_through_ = durable_through_;
        cursor_ = 0;
        must_sync_ = true;
    }
}

void segment_writer::drop_after(std::uint64_t acknowledged) {
    std::size_t kept = 0;
    backlog_last_ = written_through_;
    while (kept < backlog_.size()) {
        const record_header header = trusted_record_header(bytes_view(backlog_).subspan(kept));
        if (header.sequence > acknowledged) {
            break;
        }
        if (header.kind == record_kind::record) {
            backlog_last_ = header.sequence;
        }
        kept += record_header_size + header.length;
    }
    backlog_.resize(std::max(kept, cursor_));
}

std::uint64_t segment_writer::front_last() const noexcept {
    const bool is_current = segments_.size() == 1 && file_ != nullptr;
    return segments_.empty() || is_current ? std::numeric_limits<std::uint64_t>::max()
                                           : segments_.front().last;
}

void segment_writer::free_released(std::uint64_t mark) {
    // From the front, and each removal on the medium before the next: what a power loss leaves of the
    // segments is gapless, or a record could come back without the one that replaced it.
    while (is_removal_dirty_ || front_last() <= mark) {
        const std::string name = segments_.empty() ? std::string() : segment_name(segments_.front().number);
        try {
            if (!is_removal_dirty_) {
                files_.remove(name);
                total_ -= segments_.front().bytes;
                segments_.pop_front();
                is_removal_dirty_ = true;
                events_.push_back({.kind = journal_event_kind::segment_freed, .segment = name});
            }
            files_.sync_folder();
            is_removal_dirty_ = false;
        } catch (...) {
            events_.push_back({.kind = journal_event_kind::remove_failed,
                               .segment = name,
                               .error = std::current_exception()});
            return;
        }
    }
}

}  // namespace levee::journal_detail
