/// Bytes as they travel to and from stores.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace levee {

using bytes = std::vector<std::byte>;
using bytes_view = std::span<const std::byte>;

/// The characters' storage seen as bytes. The view lives as long as `text` does.
[[nodiscard]] inline bytes_view as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// The bytes' storage seen as characters. The view lives as long as `data` does.
[[nodiscard]] inline std::string_view as_text(bytes_view data) noexcept {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

}  // namespace levee
