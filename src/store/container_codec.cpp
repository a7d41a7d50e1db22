#include "levee/store/container_codec.hpp"

#include <cstdint>

namespace levee::store_detail {

void append_length(std::size_t length, bytes& out) {
    while (length >= 0x80) {
        out.push_back(static_cast<std::byte>(0x80U | (length & 0x7FU)));
        length >>= 7;
    }
    out.push_back(static_cast<std::byte>(length));
}

std::optional<bytes_view> take_part(bytes_view& rest) noexcept {
    std::uint64_t length = 0;
    std::size_t used = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (used == rest.size() || shift > 63) {
            return std::nullopt;
        }
        const auto next = std::to_integer<std::uint64_t>(rest[used++]);
        const std::uint64_t digits = next & 0x7FU;
        if ((shift == 63 && digits > 1) || (shift > 0 && next == 0)) {
            return std::nullopt;  // too large, or written longer than need be
        }
        length |= digits << shift;
        if ((next & 0x80U) == 0) {
            break;
        }
    }
    if (length > rest.size() - used) {
        return std::nullopt;
    }
    const bytes_view part = rest.subspan(used, static_cast<std::size_t>(length));
    rest = rest.subspan(used + static_cast<std::size_t>(length));
    return part;
}

}  // namespace levee::store_detail
