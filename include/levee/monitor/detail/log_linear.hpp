/// The buckets that `histogram` and the monitor's recording cells share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

/// A log-linear scale over all of u64: each power of two is cut into 128 buckets of equal width, so that a
/// bucket is never wider than 1/128 (0.78 %) of its values. (Tene, HdrHistogram, 2012; with 7 sub-bits.)
///
/// Octave 0 has the values 0 to 127, one a bucket; octave o > 0 has [2^(o+6), 2^(o+7)), 2^(o-1) a bucket.
namespace levee::detail::log_linear {

inline constexpr unsigned sub_bits = 7;
inline constexpr std::size_t octave_size = std::size_t{1} << sub_bits;
inline constexpr std::size_t octaves = 64 - sub_bits + 1;

struct position {
    std::size_t octave;
    std::size_t bucket;  ///< within the octave

    friend constexpr bool operator==(const position&, const position&) = default;
};

/// The highest bit set in `value`, or in 255 if that is more: which block of counts it belongs to.
[[nodiscard]] constexpr unsigned top_bit(std::uint64_t value) noexcept {
    // As an exclusive or, since that is one instruction on x86 (BSR).
    return 63U ^ static_cast<unsigned>(std::countl_zero(value | (2 * octave_size - 1)));
}

[[nodiscard]] constexpr position position_of(std::uint64_t value) noexcept {
    const unsigned shift = top_bit(value) - sub_bits;
    const std::uint64_t steps = value >> shift;  // below 256, and 128 at least unless the shift is 0
    return {shift + (steps >= octave_size ? 1 : 0), static_cast<std::size_t>(steps % octave_size)};
}

/// The smallest value in a bucket.
[[nodiscard]] constexpr std::uint64_t lowest(position at) noexcept {
    return at.octave == 0 ? at.bucket : (octave_size + at.bucket) << (at.octave - 1);
}

/// The greatest value in a bucket.
[[nodiscard]] constexpr std::uint64_t highest(position at) noexcept {
    const std::uint64_t width = at.octave == 0 ? 1 : std::uint64_t{1} << (at.octave - 1);
    return lowest(at) + (width - 1);
}

/// What stands for a bucket's values: its middle, at most 0.4 % from each of them.
[[nodiscard]] constexpr std::uint64_t middle(position at) noexcept {
    return lowest(at) + (highest(at) - lowest(at)) / 2;
}

}  // namespace levee::detail::log_linear
