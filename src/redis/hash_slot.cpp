#include "levee/redis/hash_slot.hpp"

#include <algorithm>

namespace levee::redis {

std::uint16_t hash_slot(std::string_view key) noexcept {
    if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
        const std::size_t close = key.find('}', open + 1);
        if (close != std::string_view::npos && close > open + 1) {
            key = key.substr(open + 1, close - open - 1);
        }
    }
    std::uint32_t crc = 0;
    for (const char each : key) {
        crc ^= static_cast<std::uint32_t>(static_cast<unsigned char>(each)) << 8U;
        for (int bit = 0; bit < 8; ++bit) {
            crc = ((crc << 1U) ^ ((crc & 0x8000U) != 0 ? 0x1021U : 0U)) & 0xffffU;
        }
    }
    return static_cast<std::uint16_t>(crc % hash_slots);
}

std::vector<slot_group> group_by_slot(const std::vector<std::string_view>& keys) {
    std::vector<slot_group> groups;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const std::uint16_t slot = hash_slot(keys[i]);
        auto found = std::find_if(groups.begin(), groups.end(),
                                  [slot](const slot_group& each) { return each.slot == slot; });
        if (found == groups.end()) {
            found = groups.insert(groups.end(), slot_group{slot, {}});
        }
        found->keys.push_back(i);
    }
    return groups;
}

}  // namespace levee::redis
