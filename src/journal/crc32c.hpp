/// CRC-32C (Castagnoli), the journal's checksum.
#pragma once

#include <cstdint>

#include "levee/core/bytes.hpp"

namespace levee::journal_detail {

/// The checksum of `data`, by the processor's instruction where there is one. Cost: about 0.15 ns a byte with
/// it, 0.6 ns without.
[[nodiscard]] std::uint32_t crc32c(bytes_view data) noexcept;

/// The same without the instruction: eight tables (Kounavis and Berry, "slicing-by-8", 2005).
[[nodiscard]] std::uint32_t crc32c_portable(bytes_view data) noexcept;

}  // namespace levee::journal_detail
