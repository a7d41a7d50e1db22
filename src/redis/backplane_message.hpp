/// What a link publishes, as bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "levee/store/backplane.hpp"

namespace levee::redis::detail {

/// A message with its place among those of the link that sent it.
struct linked_message {
    backplane_message message{};
    std::uint64_t link = 0;
    std::uint64_t number = 0;    ///< From 1, one more with each message of the link.
    bool is_everything = false;  ///< No message: take it that everything has changed.
};

/// "LEVB", version (1), kind, then link, number, sender, count (64 bits each, little-endian), the size of the
/// namespace (32 bits), namespace, name, and a checksum of all that (64 bits).
[[nodiscard]] std::string encode(const linked_message& message);

enum class heard_as : std::uint8_t {
    message,
    foreign,     ///< Not levee's.
    unreadable,  ///< Levee's, damaged or of another version: something was missed.
};

[[nodiscard]] heard_as decode(std::string_view payload, linked_message& message);

}  // namespace levee::redis::detail
