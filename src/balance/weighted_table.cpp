#include "balance/weighted_table.hpp"

#include <algorithm>
#include <bit>

namespace levee::balance_detail {

weighted_table::weighted_table(std::span<const candidate> candidates) {
    const auto same = [&](const candidate& one) { return one.weight() == candidates.front().weight(); };
    if (std::all_of(candidates.begin(), candidates.end(), same)) {
        return;
    }
    // By the largest first, so that sums of extreme weights stay finite.
    double largest = 0.0;
    for (const candidate& one : candidates) {
        largest = std::max(largest, one.weight());
    }
    double total = 0.0;
    for (const candidate& one : candidates) {
        total += one.weight() / largest;
    }
    last_.reserve(candidates.size());
    double so_far = 0.0;
    for (const candidate& one : candidates) {
        so_far += one.weight() / largest;
        const double end = so_far / total * 0x1p64;
        last_.push_back(end >= 0x1p64 ? UINT64_MAX : static_cast<std::uint64_t>(end));
    }
    last_.back() = UINT64_MAX;
    const auto bits = static_cast<unsigned>(std::bit_width(candidates.size()));  // at least 1
    guide_shift_ = 64 - bits;
    guide_.resize(std::size_t{1} << bits);
    std::uint32_t index = 0;
    for (std::size_t i = 0; i < guide_.size(); ++i) {
        while (last_[index] < std::uint64_t{i} << guide_shift_) {
            ++index;
        }
        guide_[i] = index;
    }
}

}  // namespace levee::balance_detail
