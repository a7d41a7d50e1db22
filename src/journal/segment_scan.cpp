#include "journal/segment_scan.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "journal/crc32c.hpp"

namespace levee::journal_detail {
namespace {

using namespace journal_format;

class scanner {
public:
    scanner(bytes_view data, const std::function<void(const scanned_record&)>& visit)
        : data_(data), visit_(visit) {}

    segment_scan run() {
        found_.header = read_segment_header(data_);
        if (found_.header) {
            at_ = found_.readable_end = segment_header_size;
            found_.mark = found_.header->mark;
        } else {
            skip_to(next_from(0));
        }
        while (at_ < data_.size()) {
            if (auto record = intact_at(at_)) {
                accept(*record);
                at_ += record_header_size + record->payload.size();
            } else {
                skip_to(end_of_damage());
            }
        }
        return std::move(found_);
    }

private:
    /// The intact record at `offset`, if its sequence can follow what came before.
    std::optional<scanned_record> intact_at(std::size_t offset) const {
        const auto header = read_record_header(data_.subspan(offset));
        if (!header || header->length > data_.size() - offset - record_header_size || !follows(*header)) {
            return std::nullopt;
        }
        const bytes_view payload = data_.subspan(offset + record_header_size, header->length);
        if (crc32c(payload) != header->checksum ||
            (header->kind == record_kind::mark && payload.size() != 8)) {
            return std::nullopt;
        }
        return scanned_record{*header, offset, payload};
    }

    bool follows(const record_header& header) const noexcept {
        return header.kind == record_kind::mark || header.sequence > found_.last;
    }

    /// Where something may be readable again, after what is not at `at_`.
    std::size_t end_of_damage() const {
        const auto header = read_record_header(data_.subspan(at_));
        if (header && follows(*header)) {  // only the payload is damaged, or cut
            const std::size_t rest = data_.size() - at_ - record_header_size;
            return header->length > rest ? data_.size() : at_ + record_header_size + header->length;
        }
        return next_from(at_ + 1);
    }

    /// The next intact record from `offset` on, or the end.
    std::size_t next_from(std::size_t offset) const {
        static constexpr std::array<std::byte, 4> magic{std::byte{'L'}, std::byte{'V'}, std::byte{'R'},
                                                        std::byte{'C'}};
        while (offset < data_.size()) {
            const auto found = std::search(data_.begin() + static_cast<std::ptrdiff_t>(offset), data_.end(),
                                           magic.begin(), magic.end());
            offset = static_cast<std::size_t>(found - data_.begin());
            if (offset < data_.size() && intact_at(offset)) {
                return offset;
            }
            ++offset;
        }
        return data_.size();
    }

    void skip_to(std::size_t next) {
        if (!found_.holes.empty() && found_.holes.back().offset + found_.holes.back().size == at_) {
            found_.holes.back().size += next - at_;  // two damaged records in a row
        } else if (next > at_) {
            found_.holes.push_back({.offset = at_, .size = next - at_, .before = found_.last});
        }
        at_ = next;
    }

    void accept(const scanned_record& record) {
        const record_header& header = record.header;
        for (std::size_t i = open_holes_; i < found_.holes.size(); ++i) {
            found_.holes[i].is_followed = true;
            found_.holes[i].after = header.kind == record_kind::record ? header.sequence : 0;
        }
        if (header.kind == record_kind::mark) {
            found_.mark = std::max(found_.mark, read_u64(record.payload));
        } else {
            open_holes_ = found_.holes.size();
            found_.first = found_.first == 0 ? header.sequence : found_.first;
            found_.last = header.sequence;
            if (header.lag != unknown_lag && header.sequence > header.lag) {
                found_.durable_through = std::max(found_.durable_through, header.sequence - 1 - header.lag);
            }
        }
        found_.readable_end = record.offset + record_header_size + record.payload.size();
        if (visit_) {
            visit_(record);
        }
    }

    const bytes_view data_;
    const std::function<void(const scanned_record&)>& visit_;
    std::size_t at_ = 0;
    std::size_t open_holes_ = 0;  // from here on, no record has followed yet
    segment_scan found_{};
};

}  // namespace

segment_scan scan_segment(bytes_view data, const std::function<void(const scanned_record&)>& visit) {
    return scanner(data, visit).run();
}

}  // namespace levee::journal_detail
