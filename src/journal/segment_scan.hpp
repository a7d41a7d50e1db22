/// Reads a segment, whatever became of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "journal/record.hpp"
#include "levee/core/bytes.hpp"

namespace levee::journal_detail {

struct scanned_record {
    record_header header{};
    std::uint64_t offset = 0;  // of the header
    bytes_view payload{};
};

/// A stretch without readable records.
struct segment_hole {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t before = 0;  // the highest sequence before it, 0 if there is none
    std::uint64_t after = 0;   // the next one's after it; 0: no record follows
    bool is_followed = false;  // something readable follows, a mark if no record
};

struct segment_scan {
    std::optional<segment_header> header{};
    std::uint64_t mark = 0;             // the highest one in it
    std::uint64_t first = 0, last = 0;  // sequences of records; 0: none
    std::uint64_t durable_through = 0;  // the highest sequence that a record says had been on the medium
    std::uint64_t readable_end = 0;     // where the last readable thing ends
    std::vector<segment_hole> holes{};
};

/// Reads `data`, the bytes of a segment that count, and calls `visit` for each intact record and mark, in
/// order. Any bytes are allowed. Cost: one pass; where bytes are unreadable, each offset is looked at.
segment_scan scan_segment(bytes_view data, const std::function<void(const scanned_record&)>& visit);

}  // namespace levee::journal_detail
