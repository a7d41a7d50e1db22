/// Which part of a Redis Cluster a key belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace levee::redis {

inline constexpr std::size_t hash_slots = 16'384;

/// The key's slot: CRC16 (XMODEM) of the key, or of what stands in its first pair of braces if that is not
/// empty, modulo 16,384 (Redis Cluster specification).
[[nodiscard]] std::uint16_t hash_slot(std::string_view key) noexcept;

/// A group of keys that one command may name in a cluster, by their places in the list that was asked about.
struct slot_group {
    std::uint16_t slot = 0;
    std::vector<std::size_t> keys{};
};

/// Groups keys by slot, in the order of each slot's first key.
[[nodiscard]] std::vector<slot_group> group_by_slot(const std::vector<std::string_view>& keys);

}  // namespace levee::redis
