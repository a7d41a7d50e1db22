#include "levee/monitor/detail/recording_cell.hpp"

#include "levee/monitor/histogram.hpp"

#include <algorithm>
#include <new>

namespace levee::detail {

using log_linear::octave_size;

recording_cell::~recording_cell() {
    for (std::size_t i = 0; i < blocks; ++i) {
        delete[] block(i);
    }
}

const recording_cell::count* recording_cell::block(std::size_t index) const noexcept {
    const std::uintptr_t first = first_[index].load(std::memory_order_acquire);
    const std::size_t skipped = index == 0 ? 0 : octave_size;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): see first_
    return first == 0 ? nullptr : reinterpret_cast<const count*>(first + skipped * sizeof(count));
}

bool recording_cell::record_in_new_block(std::uint64_t value) noexcept {
    const std::size_t index = log_linear::top_bit(value) - log_linear::sub_bits;
    auto* const made = new (std::nothrow) count[size_of(index)]();
    if (made == nullptr) {
        return false;
    }
    bool is_first = true;
    for (const auto& other : first_) {
        is_first = is_first && other.load(std::memory_order_relaxed) == 0;
    }
    if (first_[index].load(std::memory_order_relaxed) != 0) {  // an allocator that measures itself came first
        delete[] made;
        return record(value);
    }
    if (is_first) {
        least_.store(value, std::memory_order_relaxed);
    }
    const std::size_t skipped = index == 0 ? 0 : octave_size;
    first_[index].store(reinterpret_cast<std::uintptr_t>(made) - skipped * sizeof(count),
                        std::memory_order_release);
    return record(value);
}

void recording_cell::widen(std::uint64_t value) noexcept {
    const std::uint64_t least = least_.load(std::memory_order_relaxed);
    const std::uint64_t span = span_.load(std::memory_order_relaxed);
    if (value < least) {
        least_.store(value, std::memory_order_relaxed);
        span_.store(least + span - value, std::memory_order_relaxed);
    } else {
        span_.store(value - least, std::memory_order_relaxed);
    }
}

void recording_cell::add_to(histogram& into) const {
    std::uint64_t total = 0;
    histogram::u128 least_sum = 0;  // if all values were the lowest of their buckets
    histogram::u128 greatest_sum = 0;
    for (std::size_t i = 0; i < blocks; ++i) {
        const count* const counts = block(i);
        if (counts == nullptr) {
            continue;
        }
        for (std::size_t at = 0; at < size_of(i); ++at) {  // block 0 is octaves 0 and 1
            const std::uint64_t times = counts[at].load(std::memory_order_relaxed);
            if (times == 0) {
                continue;
            }
            const log_linear::position place{i == 0 ? at / octave_size : i + 1, at % octave_size};
            into.octave(place.octave)[place.bucket] += times;
            total += times;
            least_sum += histogram::u128{log_linear::lowest(place)} * times;
            greatest_sum += histogram::u128{log_linear::highest(place)} * times;
        }
    }
    if (total == 0) {
        return;
    }
    into.count_ += total;
    // What was summed is known modulo 2^64, and the buckets say within what it lies. If it lies outside,
    // values were counted between the two looks, or the range is wider than 2^64.
    const std::uint64_t summed = sum_.load(std::memory_order_relaxed) - total;
    const std::uint64_t above = summed - static_cast<std::uint64_t>(least_sum);
    const std::uint64_t below = static_cast<std::uint64_t>(greatest_sum) - summed;
    if (above <= greatest_sum - least_sum) {
        into.sum_ += least_sum + above;
    } else {
        into.sum_ += std::uint64_t{0} - below < std::uint64_t{0} - above ? greatest_sum : least_sum;
    }
    const std::uint64_t least = least_.load(std::memory_order_relaxed);
    into.min_ = std::min(into.min_, least);
    into.max_ = std::max(into.max_, least + span_.load(std::memory_order_relaxed));
}

void recording_cell::finish(histogram& sum_of_cells) noexcept {
    if (sum_of_cells.count_ > 0) {
        sum_of_cells.tighten_extremes();
    }
}

}  // namespace levee::detail
