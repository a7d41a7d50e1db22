/// The index's building block: 13 slots behind 16 bytes that say what is in them.
///
/// A table of n groups is three arrays, so that what is probed first is small and stays in the caches:
///
///     tags   16 bytes a group: 13 that say what the slots hold (`tag_empty`, `tag_retired`, or eight bits
///            of a key's hash); a saturating count of entries that found the group full and live in a
///            later one (a look-up that meets a zero ends); 13 bits for slots used since the policy last
///            asked
///     slots  13 × stride: key and value, or a pointer to them; then, if they expire, when
///     ids    13 × 3 bytes (4 in tables of a million groups): the entry's id; of retired slots, the next one
///            (seen under the lock only)
///
/// (Tags and probing by 16 bytes at a time after Abseil's and Boost's flat maps; counting what overflows, and
/// steps by the tag from one full group to the next, after Facebook's F14.) A slot is written before its tag
/// is published and stays as it is until its tag was taken away and an epoch has passed: so readers check
/// nothing but the key. Readers set bits in the second word of the tags, once until the policy has seen it;
/// so it is changed by read-modify-writes only.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "levee/core/epoch.hpp"

#if defined(__SSE2__) && !defined(LEVEE_THREAD_SANITIZER) && !defined(LEVEE_PORTABLE_GROUPS)
#define LEVEE_SSE2_GROUPS 1
#include <emmintrin.h>
#endif

namespace levee::local_detail {

/// For the look-up alone: as one piece it stays in registers, and many of them overlap.
#define LEVEE_LOOK_UP [[gnu::always_inline]] inline
#define LEVEE_INLINE_LAMBDA __attribute__((always_inline))

inline constexpr unsigned slots_in_group = 13;
inline constexpr std::uint8_t tag_empty = 0;
inline constexpr std::uint8_t tag_retired = 1;  ///< Was used, may still be read.

/// What the index takes of a hash; the highest 24 choose the shard.
struct hash_parts {
    explicit constexpr hash_parts(std::uint64_t hash) noexcept
        : low(static_cast<std::uint32_t>(hash)), tags(tags_of[static_cast<std::uint8_t>(hash >> 32)]) {}
    constexpr hash_parts(std::uint32_t its_low, std::uint8_t its_tag) noexcept
        : low(its_low), tags(its_tag * 0x01010101U) {}

    [[nodiscard]] constexpr std::uint8_t tag() const noexcept { return static_cast<std::uint8_t>(tags); }

    std::uint32_t low;
    std::uint32_t tags;  ///< The tag, four times.

private:
    /// Of eight bits of the hash; a look-up in a table (as in Boost's flat maps) is less than to work it out.
    static constexpr auto tags_of = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t bits = 0; bits < 256; ++bits) {
            made[bits] = (bits < 2 ? bits + 2 : bits) * 0x01010101U;
        }
        return made;
    }();
};

/// The tags of a group as read at one moment. (Two words on some machines; then the first one was read
/// first.)
class group_tags {
public:
    /// Acquire: what was written to the slots before the tags read is seen.
    [[nodiscard]] static group_tags read(const std::uint64_t* words) noexcept;

    /// A bit for each slot that may hold the key; `tags` as in `hash_parts`.
    [[nodiscard]] unsigned match(std::uint32_t tags) const noexcept;
    [[nodiscard]] unsigned match_tag(std::uint8_t tag) const noexcept { return match(tag * 0x01010101U); }

private:
#if defined(LEVEE_SSE2_GROUPS)
    explicit group_tags(__m128i bytes) noexcept : bytes_(bytes) {}
    __m128i bytes_;
#else
    group_tags(std::uint64_t first, std::uint64_t second) noexcept : first_(first), second_(second) {}
    std::uint64_t first_, second_;
#endif
};

#if defined(LEVEE_SSE2_GROUPS)
// Aligned loads of 16 bytes are not torn within a word on any processor (Intel and AMD promise more for those
// with AVX), and x86 does not reorder loads; the fence is the compiler's.
inline group_tags group_tags::read(const std::uint64_t* words) noexcept {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(words));
    std::atomic_signal_fence(std::memory_order_acquire);
    return group_tags(bytes);
}
inline unsigned group_tags::match(std::uint32_t tags) const noexcept {
    const __m128i equal = _mm_cmpeq_epi8(bytes_, _mm_set1_epi32(static_cast<int>(tags)));
    return static_cast<unsigned>(_mm_movemask_epi8(equal)) & ((1U << slots_in_group) - 1);
}
#else
inline group_tags group_tags::read(const std::uint64_t* words) noexcept {
    auto* const read = const_cast<std::uint64_t*>(words);  // atomic_ref takes nothing const
    const std::uint64_t first = std::atomic_ref(read[0]).load(std::memory_order_acquire);
    return {first, std::atomic_ref(read[1]).load(std::memory_order_acquire)};
}
inline unsigned group_tags::match(std::uint32_t tags) const noexcept {
    const auto equal = [pattern = std::uint64_t{tags} << 32 | tags](std::uint64_t word) {
        constexpr std::uint64_t low_bits = 0x7f7f7f7f7f7f7f7f;
        const std::uint64_t differs = word ^ pattern;
        const std::uint64_t zeros = ~(((differs & low_bits) + low_bits) | differs | low_bits);  // 0x80 each
        return static_cast<unsigned>((zeros >> 7) * 0x0102040810204080ULL >> 56);
    };
    return (equal(first_) | equal(second_) << 8) & ((1U << slots_in_group) - 1);
}
#endif

/// What a table's slots are like.
struct slot_layout {
    enum class times : std::uint8_t { none, life, life_and_use };

    /// `payload_size`: bytes of a slot before its times, of alignment 8 at most.
    constexpr slot_layout(std::size_t payload_size, times its_expiry) noexcept
        : payload(static_cast<std::uint32_t>((payload_size + 7) / 8 * 8)),
          stride(payload + 8 * static_cast<std::uint32_t>(its_expiry)),
          expiry(its_expiry) {}

    std::uint32_t payload;  ///< From the slot to its times.
    std::uint32_t stride;   ///< From slot to slot.
    times expiry;
};

}  // namespace levee::local_detail
