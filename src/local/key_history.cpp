#include "local/key_history.hpp"

#include <algorithm>

namespace levee::local_detail {
namespace {

constexpr unsigned count_of(std::uint16_t cell) noexcept {
    return cell & key_history::most;
}

}  // namespace

void key_history::resize(std::size_t keys) {
    const std::size_t wanted = std::max<std::size_t>(1, (keys + ways - 1) / ways);
    if (wanted != buckets_.size()) {
        std::vector<cell_group> fresh(wanted);
        buckets_.swap(fresh);
    }
}

void key_history::put(std::uint32_t hash, unsigned count) noexcept {
    if (count == 0 || buckets_.empty()) {
        return;
    }
    const place at = place_of(hash);
    auto& cells = buckets_[at.bucket].cells;
    std::size_t gives_way = ways - 1;
    if (cells[gives_way] != 0) {
        for (std::size_t i = ways - 1; i-- > 0;) {
            if (count_of(cells[i]) < count_of(cells[gives_way])) {
                gives_way = i;
            }
        }
    }
    std::copy_backward(cells, cells + gives_way, cells + gives_way + 1);
    cells[0] = static_cast<cell>(at.fingerprint | std::min(count, most));
}

unsigned key_history::take(std::uint32_t hash) noexcept {
    if (buckets_.empty()) {
        return 0;
    }
    const place at = place_of(hash);
    auto& cells = buckets_[at.bucket].cells;
    for (std::size_t i = 0; i < ways && cells[i] != 0; ++i) {
        if ((cells[i] ^ at.fingerprint) <= most) {
            const unsigned count = count_of(cells[i]);
            std::copy(cells + i + 1, cells + ways, cells + i);
            cells[ways - 1] = 0;
            return count;
        }
    }
    return 0;
}

void key_history::age(std::size_t bucket) noexcept {
    auto& cells = buckets_[bucket - 1].cells;
    std::size_t kept = 0;
    for (const cell old : cells) {
        if (count_of(old) > 1) {
            cells[kept++] = static_cast<cell>((old & ~most) | count_of(old) / 2);
        }
    }
    std::fill(cells + kept, cells + ways, cell{0});
}

void key_history::prefetch(std::uint32_t hash) const noexcept {
    if (!buckets_.empty()) {
        __builtin_prefetch(&buckets_[place_of(hash).bucket], 1);
    }
}

}  // namespace levee::local_detail
