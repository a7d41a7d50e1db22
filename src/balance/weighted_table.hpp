/// Which endpoint a point of [0, 2^64) belongs to when they are laid side by side by weight.
#pragma once

#include "levee/balance/strategy.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace levee::balance_detail {

/// A look-up takes one step on average: a guide of as many entries as endpoints says where to begin
/// (Chen, Asau 1974).
class weighted_table final : public strategy_plan {
public:
    explicit weighted_table(std::span<const candidate> candidates);

    /// All weights are the same, and there is no table.
    [[nodiscard]] bool is_even() const noexcept { return guide_.empty(); }

    /// Precondition: not `is_even()`.
    [[nodiscard]] std::size_t find(std::uint64_t point) const noexcept {
        std::size_t index = guide_[point >> guide_shift_];
        while (last_[index] < point) {
            ++index;
        }
        return index;
    }

private:
    std::vector<std::uint64_t> last_;  // the last point of each; the last one's is 2^64 - 1
    std::vector<std::uint32_t> guide_;
    unsigned guide_shift_ = 0;
};

}  // namespace levee::balance_detail
