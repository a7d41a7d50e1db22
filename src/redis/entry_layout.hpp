/// How an entry of the shared level lies in a Redis string.
///
///     0  magic "LEVE", format version (1), state {1: an entry follows, 2: being written}, two zeros
///     8  lease: token, deadline                                    } rewritten in place by scripts,
///    24  fresh until, stale until, and both once more              } outside the checksum
///    56  checksum of all that follows
///    64  key echo (the key's hash), version, stamp
///    88  payload's size before compression (32 bits), flags {1: negative}, compression, number of tags (16
///    bits) 96  tags, each with its size (32 bits) before it; then the payload to the end
///
/// A lease without an entry ends at 24. Numbers are little-endian, of 64 bits where nothing else is said;
/// times are microseconds of the server's clock, below 2^53, so that Lua's doubles hold them. The token is
/// never a number in Lua: it stays eight bytes. The times stand twice in place of a checksum that Lua would
/// have to make. Another format is another version here, and other bytes in the test of this layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "levee/store/remote_store.hpp"

namespace levee::redis::detail {

inline constexpr std::size_t lease_end = 24;  ///< Size of what holds a lease and no entry.
inline constexpr std::size_t times_end =
    56;  ///< What scripts write ends here, what `encode_tail` makes begins.
inline constexpr std::size_t header_size = 96;
inline constexpr std::int64_t for_ever = (std::int64_t{1} << 53U) - 1;

/// Of the server's clock, in microseconds.
struct server_times {
    std::int64_t fresh_until = 0;
    std::int64_t stale_until = 0;
};

/// A duration as scripts take it: whole microseconds, rounded down, at most a hundred years; -1: for ever.
/// Zero or less: 0.
[[nodiscard]] std::int64_t script_duration(duration given) noexcept;

/// The point in time that a script would make of it.
[[nodiscard]] std::int64_t after_microseconds(std::int64_t now, std::int64_t left) noexcept;

/// Eight bytes, as scripts take tokens.
[[nodiscard]] std::string token_bytes(std::uint64_t token);

/// Everything of an entry but what scripts write. Payloads of more than `compress_above` bytes are compressed
/// if that makes them smaller; zero: none.
[[nodiscard]] std::string encode_tail(std::string_view key, const remote_entry& entry,
                                      std::size_t compress_above);

/// Of what `encode_tail` made.
[[nodiscard]] bool is_compressed(std::string_view tail) noexcept;

/// An entry as scripts make it, without a lease.
[[nodiscard]] std::string encode(std::string_view tail, const server_times& times);

enum class decoded : std::uint8_t {
    entry,
    nothing,    ///< A lease or a write only.
    foreign,    ///< Not of this format, or a compression that this build does not know.
    corrupt,    ///< Of this format, and damaged; or of another key.
    oversized,  ///< Its payload is larger than allowed.
};

/// Makes the checksum of an entry right, whatever is in it: for tests.
void reseal(std::string& stored);

/// Of what the first `header_size` bytes belong to; empty: no entry.
[[nodiscard]] std::optional<std::uint64_t> stamp_of(std::string_view head) noexcept;

/// Reads an entry; all but its lives, which `times` has. For `entry` only are they set.
[[nodiscard]] decoded decode(std::string_view stored, std::string_view key, std::size_t max_payload,
                             remote_entry& entry, server_times& times);

}  // namespace levee::redis::detail
