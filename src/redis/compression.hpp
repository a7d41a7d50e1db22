/// Making payloads smaller. Which library does it is known to compression.cpp alone; a build may have none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "levee/core/bytes.hpp"

namespace levee::redis::detail {

/// Whether this build has a compression to write with.
[[nodiscard]] bool can_compress() noexcept;

/// Compresses into `to`. The number of the method, by which it is read again; 0: it would not become smaller.
[[nodiscard]] std::uint8_t compress(std::string_view from, std::string& to);

[[nodiscard]] bool can_decompress(std::uint8_t method) noexcept;

/// False: `from` is not `size` bytes compressed by `method`.
[[nodiscard]] bool decompress(std::uint8_t method, std::string_view from, std::size_t size, bytes& to);

}  // namespace levee::redis::detail
