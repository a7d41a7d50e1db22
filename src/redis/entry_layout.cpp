#include "redis/entry_layout.hpp"

#include <algorithm>

#include "levee/core/hash.hpp"
#include "redis/compression.hpp"
#include "redis/little_endian.hpp"

namespace levee::redis::detail {
namespace {

constexpr std::string_view magic("LEVE\1", 5);
constexpr char has_entry = 1;
constexpr char being_written = 2;
constexpr std::uint8_t negative = 1;

std::uint64_t echo_of(std::string_view key) noexcept {
    return hash_bytes(key.data(), key.size(), 0x4b4559);
}

std::uint64_t checksum_of(std::string_view rest) noexcept {
    return hash_bytes(rest.data(), rest.size(), 0x53554d);
}

decoded decode_rest(std::string_view stored, std::size_t max_payload, remote_entry& entry) {
    const auto size = get<std::uint32_t>(stored, 88);
    const auto flags = get<std::uint8_t>(stored, 92);
    const auto compression = get<std::uint8_t>(stored, 93);
    std::size_t tags = get<std::uint16_t>(stored, 94);
    if (size > max_payload) {
        return decoded::oversized;
    }
    entry.is_negative = (flags & negative) != 0;
    entry.version = get<std::uint64_t>(stored, 72);
    entry.stamp = get<std::uint64_t>(stored, 80);
    entry.tags.clear();
    entry.tags.reserve(tags);
    std::string_view rest = stored.substr(header_size);
    for (; tags > 0; --tags) {
        if (rest.size() < 4 || rest.size() - 4 < get<std::uint32_t>(rest, 0)) {
            return decoded::corrupt;
        }
        const std::size_t length = get<std::uint32_t>(rest, 0);
        entry.tags.emplace_back(rest.substr(4, length));
        rest.remove_prefix(4 + length);
    }
    if (compression == 0) {
        if (rest.size() != size) {
            return decoded::corrupt;
        }
        const bytes_view raw = as_bytes(rest);
        entry.payload.assign(raw.begin(), raw.end());
        return decoded::entry;
    }
    if (!can_decompress(compression)) {
        return decoded::foreign;
    }
    return decompress(compression, rest, size, entry.payload) ? decoded::entry : decoded::corrupt;
}

}  // namespace

std::int64_t script_duration(duration given) noexcept {
    constexpr auto most = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::hours(876'000));
    if (given == (duration::max)()) {
        return -1;
    }
    const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(given);
    return std::clamp(whole, std::chrono::microseconds(0), most).count();
}

std::int64_t after_microseconds(std::int64_t now, std::int64_t left) noexcept {
    return left < 0 ? for_ever : now + left;
}

std::string token_bytes(std::uint64_t token) {
    std::string made;
    put(made, token);
    return made;
}

std::string encode_tail(std::string_view key, const remote_entry& entry, std::size_t compress_above) {
    std::string tail;
    std::string_view payload = as_text(entry.payload);
    tail.reserve(header_size - times_end + payload.size() + entry.tags.size() * 24);
    put(tail, std::uint64_t{0});  // the checksum
    put(tail, echo_of(key));
    put(tail, entry.version);
    put(tail, entry.stamp);
    std::string compressed;
    std::uint8_t compression = 0;
    if (compress_above != 0 && payload.size() > compress_above) {
        compression = compress(payload, compressed);
    }
    put(tail, static_cast<std::uint32_t>(payload.size()));
    put(tail, entry.is_negative ? negative : std::uint8_t{0});
    put(tail, compression);
    const std::size_t tags = (std::min)(entry.tags.size(), std::size_t{UINT16_MAX});
    put(tail, static_cast<std::uint16_t>(tags));
    for (std::size_t i = 0; i < tags; ++i) {
        put(tail, static_cast<std::uint32_t>(entry.tags[i].size()));
        tail += entry.tags[i];
    }
    tail += compression != 0 ? std::string_view(compressed) : payload;
    put_at(tail, 0, checksum_of(std::string_view(tail).substr(8)));
    return tail;
}

bool is_compressed(std::string_view tail) noexcept {
    return get<std::uint8_t>(tail, 93 - times_end) != 0;
}

void reseal(std::string& stored) {
    put_at(stored, times_end, checksum_of(std::string_view(stored).substr(times_end + 8)));
}

std::optional<std::uint64_t> stamp_of(std::string_view head) noexcept {
    if (head.size() < header_size || head.substr(0, magic.size()) != magic || head[5] != has_entry) {
        return std::nullopt;
    }
    return get<std::uint64_t>(head, 80);
}

std::string encode(std::string_view tail, const server_times& times) {
    std::string made(magic);
    made += has_entry;
    made.append(2, '\0');
    made.append(16, '\0');  // no lease
    for (int i = 0; i < 2; ++i) {
        put(made, static_cast<std::uint64_t>(times.fresh_until));
        put(made, static_cast<std::uint64_t>(times.stale_until));
    }
    made += tail;
    return made;
}

decoded decode(std::string_view stored, std::string_view key, std::size_t max_payload, remote_entry& entry,
               server_times& times) {
    if (stored.size() < lease_end || stored.substr(0, magic.size()) != magic || stored[6] != 0 ||
        stored[7] != 0) {
        return decoded::foreign;
    }
    if (stored[5] != has_entry) {
        const bool is_lease = stored.size() == lease_end && (stored[5] == 0 || stored[5] == being_written);
        return is_lease ? decoded::nothing : decoded::corrupt;
    }
    if (stored.size() < header_size || stored.substr(24, 16) != stored.substr(40, 16) ||
        get<std::uint64_t>(stored, 56) != checksum_of(stored.substr(64)) ||
        get<std::uint64_t>(stored, 64) != echo_of(key)) {
        return decoded::corrupt;
    }
    times.fresh_until = static_cast<std::int64_t>(get<std::uint64_t>(stored, 24));
    times.stale_until = static_cast<std::int64_t>(get<std::uint64_t>(stored, 32));
    if (times.fresh_until < 0 || times.fresh_until > times.stale_until || times.stale_until > for_ever) {
        return decoded::corrupt;
    }
    return decode_rest(stored, max_payload, entry);
}

}  // namespace levee::redis::detail
