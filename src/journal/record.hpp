/// Records and segment headers to and from bytes: see levee/journal/journal_format.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "levee/core/bytes.hpp"
#include "levee/journal/journal_format.hpp"

namespace levee::journal_detail {

struct segment_header {
    std::uint32_t version = journal_format::version;
    std::uint32_t flags = 0;
    std::uint64_t number = 0;
    std::uint64_t first_sequence = 0;
    std::uint64_t mark = 0;
    std::uint64_t previous = 0;
    std::uint64_t previous_length = 0;
    std::uint64_t own_length = 0;
};

struct record_header {
    std::uint32_t length = 0;
    std::uint32_t checksum = 0;  // of the payload
    std::uint64_t sequence = 0;
    std::uint32_t lag = 0;
    journal_format::record_kind kind{};
};

void append_header(bytes& out, const segment_header& header);

/// `checksum` is the payload's, so that it can be computed before a lock is taken.
void append_record(bytes& out, std::uint64_t sequence, std::uint32_t lag, bytes_view payload,
                   std::uint32_t checksum);
void append_mark(bytes& out, std::uint64_t sequence, std::uint32_t lag, std::uint64_t mark);

/// Empty if `data` does not begin with one that is intact. A newer version's is returned; its version says
/// so.
[[nodiscard]] std::optional<segment_header> read_segment_header(bytes_view data) noexcept;

/// The header alone: nothing is said about the payload.
[[nodiscard]] std::optional<record_header> read_record_header(bytes_view data) noexcept;

/// The header of a record that is known to be intact.
[[nodiscard]] record_header trusted_record_header(bytes_view data) noexcept;

[[nodiscard]] std::uint64_t read_u64(bytes_view data) noexcept;  // of the first 8 bytes

}  // namespace levee::journal_detail
