#include "journal/recovery.hpp"

#include <algorithm>
#include <utility>

#include "journal/record.hpp"
#include "journal/segment_names.hpp"
#include "levee/core/error.hpp"

namespace levee::journal_detail {

using namespace journal_format;

void recovery::examine() {
    finish_renames(files_.list());
    names_ = files_.list();
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : names_) {
        const parsed_name parsed = parse_segment_name(name);
        highest_number_ = std::max(highest_number_, parsed.number);
        if (parsed.number != 0 && parsed.suffix == segment_suffix) {
            numbers.push_back(parsed.number);
        }
    }
    std::sort(numbers.begin(), numbers.end(), std::greater<>());
    for (const std::uint64_t number : numbers) {
        examine_one(number);
    }
    std::reverse(segments_.begin(), segments_.end());
    std::uint64_t last_before = 0;
    for (segment& each : segments_) {
        judge(each, last_before);
        last_before = std::max(last_before, each.last);
    }
    next_sequence_ = std::max(next_sequence_, mark_ + 1);
    for (journal_damage& each : report_.damage) {
        if (each.last_lost != 0) {
            each.first_lost = std::max(each.first_lost, mark_ + 1);
            next_sequence_ = std::max(next_sequence_, each.last_lost + 1);
        }
    }
    report_.released_through = mark_;
}

/// `rewrite` makes N.repair, then perhaps moves N.journal away, then moves N.repair to its place.
void recovery::finish_renames(const std::vector<std::string>& names) {
    bool has_changed = false;
    for (const std::string& name : names) {
        const parsed_name parsed = parse_segment_name(name);
        if (parsed.number == 0 || parsed.suffix != repair_suffix) {
            continue;
        }
        const std::string target = segment_name(parsed.number);
        has_changed = true;
        if (std::find(names.begin(), names.end(), target) != names.end()) {
            files_.remove(name);
        } else {
            files_.rename(name, target);
        }
    }
    if (has_changed) {
        files_.sync_folder();
    }
}

void recovery::examine_one(std::uint64_t number) {
    const std::string name = segment_name(number);
    const bytes content = files_.read(name);
    ++report_.segments;
    report_.bytes += content.size();
    if (has_later_ && number > later_.previous) {
        void_.push_back(number);
        keep_extra(content);
        return;
    }
    const auto header = read_segment_header(content);
    if (header && header->version > version) {
        throw error(errc::invalid_data, "journal " + files_.name() + ": " + name + " is of version " +
                                            std::to_string(header->version) + ", newer than this program's " +
                                            std::to_string(version));
    }
    std::uint64_t length = content.size();
    bool is_authoritative = false;
    if (header && (header->flags & repaired_flag) != 0) {
        length = header->own_length;
        is_authoritative = true;
    } else if (has_later_ && later_.previous == number) {
        length = later_.previous_length;
        is_authoritative = true;
    }
    const std::uint64_t counted = std::min<std::uint64_t>(length, content.size());
    segment_scan scan = scan_segment(bytes_view(content).first(counted), {});
    if (!header && !has_later_ && scan.readable_end == 0) {  // cut short while it was begun
        if (!content.empty()) {
            report_.damage.push_back(
                {.kind = journal_damage_kind::torn_tail, .segment = name, .size = length});
        }
        void_.push_back(number);
        return;
    }
    if (!is_authoritative && !scan.holes.empty() && !scan.holes.back().is_followed &&
        std::all_of(content.begin() + static_cast<std::ptrdiff_t>(scan.holes.back().offset), content.end(),
                    [](std::byte each) { return each == std::byte{}; })) {
        scan.holes.pop_back();  // allocated ahead, not written
    }
    durable_through_ = std::max(durable_through_, scan.durable_through);
    if (scan.last != 0) {
        highest_counted_ = std::max(highest_counted_, scan.last);
    }
    if (is_authoritative) {
        keep_extra(bytes_view(content).subspan(counted));
    }
    mark_ = std::max(mark_, scan.mark);
    next_sequence_ = std::max(next_sequence_, scan.last + 1);
    segment found{.number = number,
                  .header = header.value_or(segment_header{.number = number}),
                  .counted = is_authoritative ? counted : scan.readable_end,
                  .size = content.size(),
                  .last = scan.last,
                  .scan = scan,
                  .missing = length - counted,
                  .is_authoritative = is_authoritative,
                  .durable_through = durable_through_,
                  .later_first = later_first_};
    if (header) {
        next_sequence_ = std::max(next_sequence_, header->first_sequence);
        found.last = std::max(found.last, header->first_sequence - 1);
        if ((header->flags & unsynced_flag) == 0) {
            durable_through_ = std::max(durable_through_, header->first_sequence - 1);
        }
        has_later_ = true;
        later_ = *header;
        later_first_ = header->first_sequence;
    } else {
        found.header.first_sequence = scan.first;
        later_first_ = scan.first != 0 ? scan.first : later_first_;
    }
    segments_.push_back(std::move(found));
}

/// Records that do not count, of a segment that was given up: were they written again? If the process died
/// before they were, they are newer than all that counts, and this is the only copy of what may have been
/// acknowledged.
void recovery::keep_extra(bytes_view tail) {
    scan_segment(tail, [&](const scanned_record& record) {
        if (record.header.kind == record_kind::record && record.header.sequence > highest_counted_) {
            const auto whole = tail.subspan(record.offset, record_header_size + record.payload.size());
            extra_.try_emplace(record.header.sequence, whole.begin(), whole.end());
            next_sequence_ = std::max(next_sequence_, record.header.sequence + 1);
        }
    });
}

/// Turns the holes of a segment, and what is missing at its end, into damage.
void recovery::judge(segment& one, std::uint64_t last_before) {
    const segment_scan& scan = one.scan;
    std::vector<segment_hole> holes = scan.holes;
    if (one.missing != 0) {
        if (holes.empty() || holes.back().is_followed) {
            holes.push_back({.offset = scan.readable_end, .before = scan.last});
        }
        holes.back().size += one.missing;
    }
    for (const segment_hole& hole : holes) {
        journal_damage damage{.segment = segment_name(one.number), .offset = hole.offset, .size = hole.size};
        const std::uint64_t first = scan.header ? scan.header->first_sequence : 1;
        const std::uint64_t before = std::max({hole.before, first - 1, last_before});
        const std::uint64_t after = hole.after != 0 ? hole.after : one.later_first;
        const bool has_lost = after > before + 1;
        if (!hole.is_followed && !one.is_authoritative && !has_lost) {
            damage.kind = journal_damage_kind::torn_tail;
        } else {
            const std::uint64_t evidence = has_lost ? after - 1 : std::max(after, before + 1);
            damage.kind = one.durable_through >= evidence ? journal_damage_kind::corrupt
                                                          : journal_damage_kind::unsynced_hole;
            one.is_damaged = true;
        }
        damage.first_lost = before + 1;
        damage.last_lost = has_lost ? after - 1 : 0;
        report_.damage.push_back(std::move(damage));
    }
}

void recovery::repair() {
    std::uint64_t previous = 0;
    std::uint64_t previous_length = 0;
    for (segment& each : segments_) {
        const bool is_last = &each == &segments_.back();
        if (each.is_damaged || (is_last && next_sequence_ > mark_ + 1)) {
            rewrite(each, previous, previous_length, is_last);
        }
        previous = each.number;
        previous_length = each.counted;
    }
}

void recovery::rewrite(segment& one, std::uint64_t previous, std::uint64_t previous_length, bool is_last) {
    const std::string name = segment_name(one.number);
    const std::string repaired = segment_name(one.number, repair_suffix);
    bytes records;
    {
        const bytes content = files_.read(name);
        const std::size_t counted = std::min<std::size_t>(one.counted, content.size());
        scan_segment(bytes_view(content).first(counted), [&](const scanned_record& record) {
            if (record.header.kind == record_kind::record && record.header.sequence > mark_) {
                const auto whole =
                    bytes_view(content).subspan(record.offset, record_header_size + record.payload.size());
                records.insert(records.end(), whole.begin(), whole.end());
            }
        });
    }
    for (auto each = extra_.upper_bound(std::max(mark_, highest_counted_)); is_last && each != extra_.end();
         ++each) {
        records.insert(records.end(), each->second.begin(), each->second.end());
        one.last = each->first;
    }
    segment_header header = one.header;
    header.version = version;
    header.flags |= repaired_flag;
    header.first_sequence = std::max<std::uint64_t>(header.first_sequence, 1);
    header.mark = mark_;
    if (header.previous == 0) {  // or it could not be read
        header.previous = previous;
        header.previous_length = previous_length;
    }
    header.own_length = segment_header_size + records.size();
    bytes content;
    append_header(content, header);
    content.insert(content.end(), records.begin(), records.end());
    {
        const auto file = files_.create(repaired, content.size());
        for (bytes_view rest = content; !rest.empty();) {
            rest = rest.subspan(file->write(rest));
        }
        file->sync();
    }
    files_.sync_folder();
    if (one.is_damaged) {
        const std::string kept_as = name_to_keep_as(one.number);
        files_.rename(name, kept_as);
        files_.sync_folder();
        for (journal_damage& each : report_.damage) {
            if (each.segment == name && each.kind != journal_damage_kind::torn_tail) {
                each.kept_as = kept_as;
            }
        }
    }
    files_.rename(repaired, name);
    files_.sync_folder();
    one.counted = one.size = content.size();
}

std::string recovery::name_to_keep_as(std::uint64_t number) const {
    std::string name = segment_name(number, corrupt_suffix);
    for (int i = 1; std::find(names_.begin(), names_.end(), name) != names_.end(); ++i) {
        name = segment_name(number, corrupt_suffix) + "." + std::to_string(i);
    }
    return name;
}

release_window recovery::replay(const std::function<void(std::uint64_t, bytes_view)>& visit) {
    release_window window(mark_);
    const auto lost_before = [&](std::uint64_t sequence) {
        while (window.last() + 1 < sequence) {
            window.release(window.add());
        }
    };
    for (const segment& each : segments_) {
        if (each.last <= mark_) {
            continue;
        }
        const bytes content = files_.read(segment_name(each.number));
        const std::size_t counted = std::min<std::size_t>(each.counted, content.size());
        scan_segment(bytes_view(content).first(counted), [&](const scanned_record& record) {
            if (record.header.kind == record_kind::record && record.header.sequence > window.last()) {
                lost_before(record.header.sequence);
                visit(window.add(), record.payload);
                ++report_.replayed;
            }
        });
    }
    lost_before(next_sequence_);
    report_.last_sequence = window.last();
    return window;
}

segment_writer::place recovery::place() const {
    segment_writer::place at{
        .next_number = highest_number_ + 1, .last_sequence = next_sequence_ - 1, .mark = mark_};
    for (const segment& each : segments_) {
        at.segments.push_back({.number = each.number, .bytes = each.size, .last = each.last});
    }
    if (!segments_.empty()) {
        at.previous = segments_.back().number;
        at.previous_length = segments_.back().counted;
    }
    return at;
}

void recovery::remove_void() noexcept {
    for (const std::uint64_t number : void_) {
        try {
            files_.remove(segment_name(number));
        } catch (...) {
            // It stays void: the next segment says so, too.
        }
    }
}

}  // namespace levee::journal_detail
