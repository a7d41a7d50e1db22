/// Memory straight from the system, for big tables: zeros, of huge pages where it has them.
#pragma once

#include <cstddef>

namespace levee::local_detail {

inline constexpr std::size_t huge_page = std::size_t{1} << 21;
inline constexpr std::size_t small_page = 4096;

[[nodiscard]] constexpr std::size_t round_up(std::size_t value, std::size_t to) noexcept {
    return (value + to - 1) / to * to;
}

/// Whether `map_huge` can give anything on this system.
#if defined(__linux__)
inline constexpr bool can_map_huge = true;
#else
inline constexpr bool can_map_huge = false;
#endif

/// So many bytes, a multiple of `small_page`, at a multiple of `huge_page`; null: there are none. What is not
/// touched takes no memory.
[[nodiscard]] std::byte* map_huge(std::size_t bytes) noexcept;

void unmap(std::byte* first, std::size_t bytes) noexcept;

/// Gives back the whole pages in it, and keeps the addresses.
void drop_contents(std::byte* first, std::size_t bytes) noexcept;

}  // namespace levee::local_detail
