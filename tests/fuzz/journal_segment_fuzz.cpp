// What the journal reads when it is opened, under libFuzzer: any bytes as its last segment, with intact
// records sewn in where the bytes say so, are replayed or reported, in order, and the second opening finds
// the first one's result and no damage. Built where the compiler is clang, as the target
// levee_journal_segment_fuzz; `levee_journal_segment_fuzz -max_total_time=60` runs it for a minute.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "journal/crc32c.hpp"
#include "journal/record.hpp"
#include "journal/segment_names.hpp"
#include "journal/segment_scan.hpp"
#include "levee/core/error.hpp"
#include "levee/journal/journal.hpp"
#include "levee/testing/power_loss_files.hpp"

namespace {

using namespace levee::journal_detail;

void require(bool is_so) {
    if (!is_so) {
        std::abort();
    }
}

/// Checksums are hard to guess: byte 0xf0 becomes a segment's header, 0xf1 a record, 0xf2 a mark; others
/// stay.
levee::bytes content_of(const std::uint8_t* data, std::size_t size) {
    levee::bytes content;
    std::uint64_t sequence = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint8_t parameter = i + 1 < size ? data[i + 1] : 0;
        if (data[i] == 0xf0) {
            append_header(content, {.flags = parameter % 4U,
                                    .number = 1,
                                    .first_sequence = 1,
                                    .mark = parameter % 8U,
                                    .own_length = parameter});
        } else if (data[i] == 0xf1) {
            const levee::bytes payload(parameter % 64U, static_cast<std::byte>(parameter));
            sequence += 1 + parameter % 3U;
            append_record(content, sequence, parameter % 5U, payload,
                          crc32c(payload) + (parameter == 77 ? 1 : 0));
        } else if (data[i] == 0xf2) {
            append_mark(content, sequence, 0, parameter % 16U);
        } else {
            content.push_back(static_cast<std::byte>(data[i]));
            continue;
        }
        ++i;
    }
    return content;
}

using records = std::vector<std::pair<std::uint64_t, std::string>>;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const levee::bytes content = content_of(data, size);
    std::uint64_t before = 0;
    std::uint64_t end = 0;
    const auto scan = scan_segment(content, [&](const scanned_record& record) {
        require(record.offset >= end);
        end = record.offset + levee::journal_format::record_header_size + record.payload.size();
        require(end <= content.size());
        if (record.header.kind == levee::journal_format::record_kind::record) {
            require(record.header.sequence > before);
            before = record.header.sequence;
        }
    });
    require(scan.readable_end <= content.size() && scan.last == before);
    for (const segment_hole& hole : scan.holes) {
        require(hole.size > 0 && hole.offset + hole.size <= content.size());
    }

    const auto disk = std::make_shared<levee::testing::power_loss_files>();
    disk->plant(segment_name(1), content);
    const levee::journal_options options{.segment_bytes = 1 << 20, .max_bytes = 0, .files = disk};
    records replayed[2];
    for (int opening = 0; opening < 2; ++opening) {
        records& into = replayed[opening];
        const levee::journal log(options, [&](std::uint64_t sequence, levee::bytes_view record) {
            require(into.empty() || sequence > into.back().first);
            into.emplace_back(sequence, levee::as_text(record));
        });
        require(opening == 0 || log.recovery().damage.empty());
    }
    require(replayed[0] == replayed[1]);
    return 0;
}
