#include "journal/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace levee::journal_detail {
namespace {

using table = std::array<std::uint32_t, 256>;

constexpr std::array<table, 8> make_tables() {
    std::array<table, 8> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
        }
        tables[0][i] = crc;
    }
    for (std::size_t slice = 1; slice < 8; ++slice) {
        for (std::size_t i = 0; i < 256; ++i) {
            const std::uint32_t before = tables[slice - 1][i];
            tables[slice][i] = (before >> 8U) ^ tables[0][before & 0xffU];
        }
    }
    return tables;
}

constexpr std::array<table, 8> tables = make_tables();

constexpr std::uint32_t one_byte(std::uint32_t crc, std::byte next) noexcept {
    return (crc >> 8U) ^ tables[0][(crc ^ static_cast<std::uint32_t>(next)) & 0xffU];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(bytes_view data) noexcept {
    std::uint64_t crc = 0xffffffffU;
    while (data.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), 8);
        crc = _mm_crc32_u64(crc, word);
        data = data.subspan(8);
    }
    auto rest = static_cast<std::uint32_t>(crc);
    for (const std::byte each : data) {
        rest = _mm_crc32_u8(rest, static_cast<unsigned char>(each));
    }
    return ~rest;
}

bool has_instruction() noexcept {
    static const bool has = __builtin_cpu_supports("sse4.2") != 0;
    return has;
}
#elif defined(__ARM_FEATURE_CRC32)
std::uint32_t by_instruction(bytes_view data) noexcept {
    std::uint32_t crc = 0xffffffffU;
    while (data.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), 8);
        crc = __crc32cd(crc, word);
        data = data.subspan(8);
    }
    for (const std::byte each : data) {
        crc = __crc32cb(crc, static_cast<unsigned char>(each));
    }
    return ~crc;
}

bool has_instruction() noexcept {
    return true;
}
#else
std::uint32_t by_instruction(bytes_view data) noexcept {
    return crc32c_portable(data);
}

bool has_instruction() noexcept {
    return false;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(bytes_view data) noexcept {
    std::uint32_t crc = 0xffffffffU;
    while (data.size() >= 8) {
        std::array<std::uint8_t, 8> in{};
        std::memcpy(in.data(), data.data(), 8);
        crc = tables[7][in[0] ^ (crc & 0xffU)] ^ tables[6][in[1] ^ ((crc >> 8U) & 0xffU)] ^
              tables[5][in[2] ^ ((crc >> 16U) & 0xffU)] ^ tables[4][in[3] ^ (crc >> 24U)] ^ tables[3][in[4]] ^
              tables[2][in[5]] ^ tables[1][in[6]] ^ tables[0][in[7]];
        data = data.subspan(8);
    }
    for (const std::byte each : data) {
        crc = one_byte(crc, each);
    }
    return ~crc;
}

std::uint32_t crc32c(bytes_view data) noexcept {
    return has_instruction() ? by_instruction(data) : crc32c_portable(data);
}

}  // namespace levee::journal_detail
