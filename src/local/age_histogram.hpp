/// How old entries are when they are evicted, of late.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace levee::local_detail {

/// Counts ages in buckets of an eighth of their size, older counts weighing less. Half a KiB.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class age_histogram {
public:
    void add(std::uint64_t age) noexcept {
        ++counts_[bucket_of(age)];
        if (++sum_ == most) {
            sum_ = 0;
            for (std::uint16_t& count : counts_) {
                count /= 2;
                sum_ += count;
            }
        }
    }

    [[nodiscard]] std::uint32_t count() const noexcept { return sum_; }

    /// The age that the given part of those counted are younger than, within an eighth; zero: none were.
    [[nodiscard]] double quantile(double part) const noexcept {
        const double wanted = part * sum_;
        double before = 0;
        for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
            before += counts_[bucket];
            if (counts_[bucket] != 0 && before >= wanted) {
                return middle_of(bucket);
            }
        }
        return 0;
    }

private:
    static constexpr std::uint32_t most = 4096;

    // Four buckets from each power of two to the next; ages below four have one each.
    static std::size_t bucket_of(std::uint64_t age) noexcept {
        if (age < 4) {
            return static_cast<std::size_t>(age);
        }
        const auto width = static_cast<std::size_t>(std::bit_width(age));
        return 4 * (width - 2) + static_cast<std::size_t>(age >> (width - 3) & 3U);
    }
    static double middle_of(std::size_t bucket) noexcept {
        if (bucket < 4) {
            return static_cast<double>(bucket);
        }
        const double step = static_cast<double>(std::uint64_t{1} << (bucket / 4 - 1));
        return (4.0 + static_cast<double>(bucket % 4) + 0.5) * step;
    }

    std::array<std::uint16_t, std::size_t{4} * 63> counts_{};
    std::uint32_t sum_ = 0;
};

}  // namespace levee::local_detail
