/// What a cache's replacement policy is doing, and what another size would bring.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace levee {

/// As of now; from `local_cache::replacement()`. A copyable value.
struct replacement_report {
    /// The part of what is held that is given to new entries, in [0, 1]: a few per cent where popularity
    /// lasts, up to 70 % where what was asked for last is asked for next.
    double window_share = 0;

    /// New entries that were evicted because what they would have pushed out was asked for more often.
    std::uint64_t admissions_refused = 0;

    /// How many new entries the cache stored from an entry's coming to its eviction: of entries evicted of
    /// late, a tenth were younger than `tenth`, half than `median`, nine tenths than `ninetieth`. Where many
    /// are refused the median is far below the number held; with plain FIFO all are that number.
    struct ages {
        double tenth = 0, median = 0, ninetieth = 0;
    };
    /// Within an eighth, of a sample of the keys. Empty while none of them was evicted.
    std::optional<ages> ages_at_eviction{};

    /// How many times as many misses a cache of half the size would have of late, and one of twice the size.
    /// Empty while too little was seen, which is always so before the cache is full.
    std::optional<double> miss_factor_at_half{}, miss_factor_at_twice{};

    /// The same for a cache `times` as large, in [0.5, 2]: between the three sizes by the size's logarithm;
    /// empty outside.
    [[nodiscard]] std::optional<double> miss_factor_at(double times) const noexcept {
        if (!(times >= 0.5 && times <= 2)) {
            return std::nullopt;
        }
        const std::optional<double>& end = times < 1 ? miss_factor_at_half : miss_factor_at_twice;
        if (!end) {
            return std::nullopt;
        }
        return 1 + (*end - 1) * std::abs(std::log2(times));
    }
};

}  // namespace levee
