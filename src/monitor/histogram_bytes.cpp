// The serialised form, version 1: the bytes 'L' 'H' 1 7 (version, sub-bits), then numbers as LEB128 (seven
// bits a byte, the lowest first, the top bit set on all bytes but the last): the count of buckets that are
// used; if that is not 0, the least value, the greatest, the sum's low and high 64 bits; then for each used
// bucket, from small values to great ones, the buckets passed over since the one before, and its count.
#include "levee/core/error.hpp"
#include "levee/monitor/histogram.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace levee {
namespace {

using namespace detail::log_linear;

constexpr std::array<std::byte, 4> heading{std::byte{'L'}, std::byte{'H'}, std::byte{1}, std::byte{sub_bits}};

void append(bytes& to, std::uint64_t number) {
    for (; number >= 0x80; number >>= 7U) {
        to.push_back(static_cast<std::byte>(number | 0x80U));
    }
    to.push_back(static_cast<std::byte>(number));
}

[[noreturn]] void refuse(const std::string& why) {
    throw error(errc::invalid_data, "histogram::deserialise: " + why);
}

class reader {
public:
    explicit reader(bytes_view from) : left_(from) {}

    std::uint64_t number() {
        std::uint64_t result = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (left_.empty()) {
                refuse("the data end in the middle");
            }
            const auto next = std::to_integer<std::uint64_t>(left_.front());
            left_ = left_.subspan(1);
            if (shift == 63 && next > 1) {
                break;
            }
            result |= (next & 0x7FU) << shift;
            if (next < 0x80) {
                if (next == 0 && shift > 0) {
                    refuse("a number is written longer than it needs to be");
                }
                return result;
            }
        }
        refuse("a number has more than 64 bits");
    }

    [[nodiscard]] std::size_t left() const noexcept { return left_.size(); }

private:
    bytes_view left_;
};

}  // namespace

bytes histogram::serialise() const {
    bytes made(heading.begin(), heading.end());
    std::uint64_t used = 0;
    for_each_bucket([&used](std::uint64_t, std::uint64_t, std::uint64_t) { ++used; });
    append(made, used);
    if (used == 0) {
        return made;
    }
    append(made, min_);
    append(made, max_);
    append(made, static_cast<std::uint64_t>(sum_));
    append(made, static_cast<std::uint64_t>(sum_ >> 64U));
    std::size_t next = 0;
    for_each_bucket([&](std::uint64_t low, std::uint64_t, std::uint64_t times) {
        const position at = position_of(low);
        const std::size_t index = at.octave * octave_size + at.bucket;
        append(made, index - next);
        append(made, times);
        next = index + 1;
    });
    return made;
}

histogram histogram::deserialise(bytes_view data) {
    if (data.size() < heading.size() || !std::equal(heading.begin(), heading.begin() + 2, data.begin())) {
        refuse("this is no histogram");
    }
    if (!std::equal(heading.begin(), heading.end(), data.begin())) {
        refuse("the format is version " + std::to_string(std::to_integer<int>(data[2])) + " with " +
               std::to_string(std::to_integer<int>(data[3])) + " sub-bits; only version 1 with 7 is known");
    }
    reader from(data.subspan(heading.size()));
    histogram made;
    const std::uint64_t used = from.number();
    if (used != 0) {
        made.min_ = from.number();
        made.max_ = from.number();
        made.sum_ = from.number();
        made.sum_ |= u128{from.number()} << 64U;
    }
    constexpr std::size_t buckets = octaves * octave_size;
    std::size_t next = 0;
    for (std::uint64_t i = 0; i < used; ++i) {
        const std::uint64_t skipped = from.number();
        if (next >= buckets || skipped >= buckets - next) {
            refuse("a bucket lies beyond the last one");
        }
        next += skipped;
        const std::uint64_t times = from.number();
        if (times == 0 || made.count_ + times < times) {
            refuse("a bucket that is used has the count 0, or all have more than 64 bits");
        }
        made.octave(next / octave_size)[next % octave_size] = times;
        made.count_ += times;
        ++next;
    }
    if (from.left() != 0) {
        refuse(std::to_string(from.left()) + " bytes follow the end");
    }
    if (used != 0) {
        const std::uint64_t least = made.min_;
        const std::uint64_t greatest = made.max_;
        const u128 sum = made.sum_;
        made.tighten_extremes();
        if (least != made.min_ || greatest != made.max_ || least > greatest || sum != made.sum_) {
            refuse("the least value, the greatest or the sum does not fit the buckets");
        }
    }
    return made;
}

}  // namespace levee
