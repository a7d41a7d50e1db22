#include "journal/record.hpp"

#include <array>
#include <span>

#include "journal/crc32c.hpp"

namespace levee::journal_detail {
namespace {

using namespace journal_format;

template <class Word>
void put(std::span<std::byte> out, std::size_t at, Word value) noexcept {
    for (std::size_t i = 0; i < sizeof(Word); ++i) {
        out[at + i] = static_cast<std::byte>(value >> (8 * i));
    }
}

template <class Word>
Word get(bytes_view data, std::size_t at) noexcept {
    Word value = 0;
    for (std::size_t i = 0; i < sizeof(Word); ++i) {
        value |= static_cast<Word>(static_cast<Word>(data[at + i]) << (8 * i));
    }
    return value;
}

void append_any(bytes& out, std::uint64_t sequence, std::uint32_t lag, record_kind kind, bytes_view payload,
                std::uint32_t checksum) {
    std::array<std::byte, record_header_size> header{};
    put(header, 0, record_magic);
    put(header, 8, static_cast<std::uint32_t>(payload.size()));
    put(header, 12, checksum);
    put(header, 16, sequence);
    put(header, 24, lag);
    header[28] = static_cast<std::byte>(kind);
    put(header, 4, crc32c(bytes_view(header).subspan(8)));
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), payload.begin(), payload.end());
}

}  // namespace

void append_header(bytes& out, const segment_header& from) {
    std::array<std::byte, segment_header_size> header{};
    put(header, 0, segment_magic);
    put(header, 8, from.version);
    put(header, 12, from.flags);
    put(header, 16, from.number);
    put(header, 24, from.first_sequence);
    put(header, 32, from.mark);
    put(header, 40, from.previous);
    put(header, 48, from.previous_length);
    put(header, 56, from.own_length);
    put(header, 4, crc32c(bytes_view(header).subspan(8)));
    out.insert(out.end(), header.begin(), header.end());
}

void append_record(bytes& out, std::uint64_t sequence, std::uint32_t lag, bytes_view payload,
                   std::uint32_t checksum) {
    append_any(out, sequence, lag, record_kind::record, payload, checksum);
}

void append_mark(bytes& out, std::uint64_t sequence, std::uint32_t lag, std::uint64_t mark) {
    std::array<std::byte, 8> payload{};
    put(payload, 0, mark);
    append_any(out, sequence, lag, record_kind::mark, payload, crc32c(payload));
}

std::optional<segment_header> read_segment_header(bytes_view data) noexcept {
    if (data.size() < segment_header_size || get<std::uint32_t>(data, 0) != segment_magic) {
        return std::nullopt;
    }
    data = data.first(segment_header_size);
    if (get<std::uint32_t>(data, 4) != crc32c(data.subspan(8))) {
        return std::nullopt;
    }
    return segment_header{.version = get<std::uint32_t>(data, 8),
                          .flags = get<std::uint32_t>(data, 12),
                          .number = get<std::uint64_t>(data, 16),
                          .first_sequence = get<std::uint64_t>(data, 24),
                          .mark = get<std::uint64_t>(data, 32),
                          .previous = get<std::uint64_t>(data, 40),
                          .previous_length = get<std::uint64_t>(data, 48),
                          .own_length = get<std::uint64_t>(data, 56)};
}

std::optional<record_header> read_record_header(bytes_view data) noexcept {
    if (data.size() < record_header_size || get<std::uint32_t>(data, 0) != record_magic) {
        return std::nullopt;
    }
    data = data.first(record_header_size);
    if (get<std::uint32_t>(data, 4) != crc32c(data.subspan(8))) {
        return std::nullopt;
    }
    const auto kind = static_cast<record_kind>(data[28]);
    if (kind != record_kind::record && kind != record_kind::mark) {
        return std::nullopt;
    }
    return trusted_record_header(data);
}

record_header trusted_record_header(bytes_view data) noexcept {
    return {.length = get<std::uint32_t>(data, 8),
            .checksum = get<std::uint32_t>(data, 12),
            .sequence = get<std::uint64_t>(data, 16),
            .lag = get<std::uint32_t>(data, 24),
            .kind = static_cast<record_kind>(data[28])};
}

std::uint64_t read_u64(bytes_view data) noexcept {
    return get<std::uint64_t>(data, 0);
}

}  // namespace levee::journal_detail
