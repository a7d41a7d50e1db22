/// Pairs of numbers that take no more bytes than the greatest of them needs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "levee/local/detail/chunked_array.hpp"

namespace levee::local_detail {

/// Two numbers for each index, zero at first: the links of a list in an array. Four bytes a pair while
/// numbers are below 65,536, six below 16 million, else eight. Grows without moving what it holds.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
class number_pairs {
public:
    /// At least `size` pairs, of numbers up to `greatest`. Never shrinks. Errors: std::bad_alloc; what was
    /// there stays.
    void reserve(std::size_t size, std::uint32_t greatest) {
        low_.reserve(size);
        unsigned planes = 0;
        for (; planes < high_.size() && greatest >> shift_of(planes) != 0; ++planes) {
            high_[planes].reserve(size);  // zeros: no number was as large until now
        }
        for (unsigned plane = planes; plane < planes_; ++plane) {
            high_[plane].reserve(size);
        }
        planes_ = planes > planes_ ? planes : planes_;
    }
    [[nodiscard]] std::size_t size() const noexcept { return low_.size(); }

    [[nodiscard]] std::uint32_t first(std::size_t at) const noexcept {
        std::uint32_t found = low_[at].first;
        for (unsigned plane = 0; plane < planes_; ++plane) {
            found |= std::uint32_t{high_[plane][at].first} << shift_of(plane);
        }
        return found;
    }
    [[nodiscard]] std::uint32_t second(std::size_t at) const noexcept {
        std::uint32_t found = low_[at].second;
        for (unsigned plane = 0; plane < planes_; ++plane) {
            found |= std::uint32_t{high_[plane][at].second} << shift_of(plane);
        }
        return found;
    }
    void set_first(std::size_t at, std::uint32_t to) noexcept {
        low_[at].first = static_cast<std::uint16_t>(to);
        for (unsigned plane = 0; plane < planes_; ++plane) {
            high_[plane][at].first = static_cast<std::uint8_t>(to >> shift_of(plane));
        }
    }
    void set_second(std::size_t at, std::uint32_t to) noexcept {
        low_[at].second = static_cast<std::uint16_t>(to);
        for (unsigned plane = 0; plane < planes_; ++plane) {
            high_[plane][at].second = static_cast<std::uint8_t>(to >> shift_of(plane));
        }
    }

    [[nodiscard]] std::size_t memory() const noexcept {
        return low_.memory() + high_[0].memory() + high_[1].memory();
    }

private:
    static constexpr unsigned shift_of(unsigned plane) noexcept { return plane == 0 ? 16 : 24; }

    template <class Part>
    struct pair {
        Part first, second;
    };
    chunked_array<pair<std::uint16_t>> low_{};
    std::array<chunked_array<pair<std::uint8_t>>, 2> high_{};
    unsigned planes_ = 0;  // of high_, that are used
};

}  // namespace levee::local_detail
