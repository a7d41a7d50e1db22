/// How much memory the program uses.
#pragma once

#include <cstdint>
#include <optional>

namespace replay {

/// The bytes that malloc has handed out and not got back, its own overhead included; empty: not known
/// (another C library than glibc, or a sanitizer's malloc). Cost: a look at every free block.
[[nodiscard]] std::optional<std::uint64_t> heap_in_use();

}  // namespace replay
