#include "levee/core/hash.hpp"

#include <cstring>

namespace levee {
namespace {

// Odd, with half of their bits set: any such numbers will do (these are hexadecimal digits of pi).
constexpr std::uint64_t key0 = 0x243f6a8885a308d3;
constexpr std::uint64_t key1 = 0x13198a2e03707345;
constexpr std::uint64_t key2 = 0xa4093822299f31d1;
constexpr std::uint64_t key3 = 0x082efa98ec4e6c89;

std::uint64_t read8(const unsigned char* from) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

std::uint64_t read4(const unsigned char* from) noexcept {
    std::uint32_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

// The 128-bit product folded to 64. The factors are added back, so that a factor of zero does not wipe
// out the other one ("protected" in wyhash's words).
std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using u128 = unsigned __int128;
    const u128 product = static_cast<u128>(a) * b;
    return a ^ b ^ static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed) noexcept {
    const auto* at = static_cast<const unsigned char*>(data);
    seed ^= fold(seed ^ key0, key1);
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (size <= 16) {
        // Reads that overlap cover every length of a class without a loop.
        if (size >= 8) {
            first = read8(at);
            last = read8(at + size - 8);
        } else if (size >= 4) {
            first = read4(at);
            last = read4(at + size - 4);
        } else if (size > 0) {
            first = (std::uint64_t{at[0]} << 16) | (std::uint64_t{at[size / 2]} << 8) | at[size - 1];
        }
    } else {
        std::size_t left = size;
        if (left > 48) {  // three lanes, since a multiplication takes longer than its turn
            std::uint64_t lane1 = seed;
            std::uint64_t lane2 = seed;
            do {
                seed = fold(read8(at) ^ key1, read8(at + 8) ^ seed);
                lane1 = fold(read8(at + 16) ^ key2, read8(at + 24) ^ lane1);
                lane2 = fold(read8(at + 32) ^ key3, read8(at + 40) ^ lane2);
                at += 48;
                left -= 48;
            } while (left > 48);
            seed ^= lane1 ^ lane2;
        }
        while (left > 16) {
            seed = fold(read8(at) ^ key1, read8(at + 8) ^ seed);
            at += 16;
            left -= 16;
        }
        first = read8(at + left - 16);  // the last 16 bytes, some of them for the second time
        last = read8(at + left - 8);
    }
    // The length enters here, so that texts of equal head and tail in one class differ.
    return fold(key1 ^ size, fold(first ^ key2, last ^ seed));
}

}  // namespace levee
