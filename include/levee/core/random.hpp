/// Small seeded generators: randomness is injected, so that a run can be repeated.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace levee {

/// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit word of state; seeds others, or decides small things.
///
/// Models std::uniform_random_bit_generator. Thread safety: distinct objects: safe; shared: unsafe.
class splitmix64 {
public:
    using result_type = std::uint64_t;

    constexpr explicit splitmix64(std::uint64_t seed) noexcept : state_(seed) {}

    constexpr std::uint64_t operator()() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    static constexpr std::uint64_t(min)() noexcept { return 0; }
    static constexpr std::uint64_t(max)() noexcept { return (std::numeric_limits<std::uint64_t>::max)(); }

private:
    std::uint64_t state_;
};

/// xoshiro256** (Blackman, Vigna 2018): the generator for everything that draws often. Not for secrets.
///
/// Models std::uniform_random_bit_generator. Thread safety: distinct objects: safe; shared: unsafe.
class xoshiro256 {
public:
    using result_type = std::uint64_t;

    /// Any seed will do, zero included: the state is filled by SplitMix64.
    constexpr explicit xoshiro256(std::uint64_t seed) noexcept {
        splitmix64 fill(seed);
        for (auto& word : state_) {
            word = fill();
        }
    }

    constexpr std::uint64_t operator()() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    static constexpr std::uint64_t(min)() noexcept { return 0; }
    static constexpr std::uint64_t(max)() noexcept { return (std::numeric_limits<std::uint64_t>::max)(); }

private:
    std::uint64_t state_[4]{};
};

/// A double drawn evenly from [0, 1): 53 random bits.
template <class Generator>
[[nodiscard]] constexpr double uniform_unit(Generator& generator) noexcept {
    return static_cast<double>(generator() >> 11) * 0x1.0p-53;
}

/// An integer drawn from [0, bound), or 0 if `bound` is 0; biased by less than bound / 2^64
/// (Lemire 2019, without the rejection step).
template <class Generator>
[[nodiscard]] constexpr std::uint64_t uniform_below(Generator& generator, std::uint64_t bound) noexcept {
    __extension__ using u128 = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<u128>(generator()) * bound) >> 64);
}

}  // namespace levee
