#include "levee/postgres/detail/encoder.hpp"

#include <bit>
#include <cstring>

#include "levee/core/error.hpp"
#include "monitor/utf8.hpp"

namespace levee::postgres::detail {
namespace {

template <class Unsigned>
void append_big_endian(encoded& out, Unsigned value) {
    char raw[sizeof(Unsigned)];
    for (std::size_t i = sizeof raw; i-- > 0; value = static_cast<Unsigned>(value >> 7U >> 1U)) {
        raw[i] = static_cast<char>(value & 0xffU);
    }
    out.insert(out.end(), raw, raw + sizeof raw);
}

/// Where the first byte is that a text of the server's cannot have; npos: nowhere.
std::size_t first_fault(std::string_view text) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
        // Eight ASCII characters at a time: none is NUL, none has its high bit.
        if (std::uint64_t block = 0; text.size() - at >= sizeof block) {
            std::memcpy(&block, text.data() + at, sizeof block);
            constexpr std::uint64_t ones = 0x0101'0101'0101'0101U;
            constexpr std::uint64_t high = ones << 7U;
            if (((block - ones) & high) == 0 && (block & high) == 0) {
                at += sizeof block;
                continue;
            }
        }
        const std::size_t size = monitor_detail::character_at(text.substr(at));
        if (size == 0 || text[at] == '\0') {
            return at;
        }
        at += size;
    }
    return std::string_view::npos;
}

}  // namespace

void encoder::int16(std::int16_t value) {
    append_big_endian(out_, static_cast<std::uint16_t>(value));
}

void encoder::int32(std::int32_t value) {
    append_big_endian(out_, static_cast<std::uint32_t>(value));
}

void encoder::int64(std::int64_t value) {
    append_big_endian(out_, static_cast<std::uint64_t>(value));
}

void encoder::float32(float value) {
    append_big_endian(out_, std::bit_cast<std::uint32_t>(value));
}

void encoder::float64(double value) {
    append_big_endian(out_, std::bit_cast<std::uint64_t>(value));
}

void encoder::boolean(bool value) {
    out_.push_back(value ? '\1' : '\0');
}

void encoder::text(std::string_view value) {
    if (const std::size_t fault = first_fault(value); fault != std::string_view::npos) {
        refuse(value[fault] == '\0' ? "text with a NUL at byte " + std::to_string(fault) +
                                          ", which PostgreSQL cannot keep (send bytes)"
                                    : "text that is not UTF-8, from byte " + std::to_string(fault));
    }
    out_.insert(out_.end(), value.begin(), value.end());
}

void encoder::raw(bytes_view value) {
    const std::string_view text = as_text(value);
    out_.insert(out_.end(), text.begin(), text.end());
}

void encoder::interval(std::int64_t microseconds) {
    int64(microseconds);
    int32(0);  // days
    int32(0);  // months
}

void encoder::date(std::chrono::year_month_day value) {
    if (!value.ok()) {
        refuse("a date that is not in the calendar");
    }
    constexpr std::chrono::sys_days epoch = std::chrono::year(2000) / 1 / 1;
    int32(static_cast<std::int32_t>((std::chrono::sys_days(value) - epoch).count()));
}

void encoder::array(type_oid element, std::size_t count, bool has_nulls) {
    constexpr std::size_t most = 0x7ff'ffff;  // the server's own limit
    if (count > most) {
        refuse("an array of " + std::to_string(count) + " elements");
    }
    int32(count == 0 ? 0 : 1);  // dimensions
    int32(has_nulls ? 1 : 0);
    int32(static_cast<std::int32_t>(element));
    if (count != 0) {
        int32(static_cast<std::int32_t>(count));
        int32(1);  // the first index
    }
}

std::size_t encoder::begin_element() {
    int32(0);
    return out_.size();
}

void encoder::end_element(std::size_t begun) {
    const std::size_t size = out_.size() - begun;
    if (size > 0x3fff'ffff) {
        refuse("an element of more than 1 GB");
    }
    encoded length;
    append_big_endian(length, static_cast<std::uint32_t>(size));
    std::memcpy(out_.data() + begun - length.size(), length.data(), length.size());
}

void encoder::refuse(const std::string& what) const {
    throw error(errc::invalid_data, "parameter $" + std::to_string(number_) + ": " + what);
}

}  // namespace levee::postgres::detail
