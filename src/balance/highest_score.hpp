/// Rendezvous hashing, which `rendezvous` and `ip_hash` share, and the other hashing strategies fall back on.
#pragma once

#include "balance/weighted_table.hpp"
#include "levee/balance/strategy.hpp"
#include "levee/core/hash.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace levee::balance_detail {

/// Whether weights matter is all that is known beforehand.
class highest_score final : public strategy_plan {
public:
    explicit highest_score(std::span<const candidate> candidates)
        : is_even_(weighted_table(candidates).is_even()) {}
    [[nodiscard]] bool is_even() const noexcept { return is_even_; }

private:
    bool is_even_;
};

/// The candidate with the highest score for `hash` for which `takes(candidate)`; it is asked from the
/// highest down. Null if it takes none.
template <class Takes>
const candidate* by_score(const pick_view& view, std::uint64_t hash, bool is_even, Takes&& takes) {
    // Scores below the last one that was refused come next.
    double bound = HUGE_VAL;
    for (std::size_t round = 0; round < view.size(); ++round) {
        const candidate* best = nullptr;
        double highest = -HUGE_VAL;
        for (std::size_t i = 0; i < view.size(); ++i) {
            const candidate& one = view[i];
            const std::uint64_t mixed = hash_mix(hash ^ one.key());
            // In (0, 1); -w / ln u is the greatest with probability in proportion to w.
            const double unit = (static_cast<double>(mixed >> 11U) + 0.5) * 0x1p-53;
            const double score = is_even ? unit : one.weight() / -std::log(unit);
            if (score > highest && score < bound) {
                best = &one;
                highest = score;
            }
        }
        if (best == nullptr || takes(*best)) {
            return best;
        }
        bound = highest;
    }
    return nullptr;
}

}  // namespace levee::balance_detail
