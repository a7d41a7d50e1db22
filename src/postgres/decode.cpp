#include "levee/postgres/detail/decode.hpp"

#include <algorithm>
#include <bit>
#include <boost/uuid/uuid_io.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "levee/core/error.hpp"
#include "postgres/binary_reader.hpp"
#include "postgres/decode_refusals.hpp"
#include "postgres/time_text.hpp"

namespace levee::postgres {

void field::refuse(const std::string& what) const {
    throw levee::error(levee::errc::invalid_data, "column " + std::to_string(where_.column) + " \"" +
                                                      std::string(where_.name) + "\" of row " +
                                                      std::to_string(where_.row) + ": " + what);
}

namespace detail {
namespace {

bool is_text(type_oid type) noexcept {
    switch (type) {
        case type_oid::text:
        case type_oid::varchar:
        case type_oid::bpchar:
        case type_oid::name:
        case type_oid::unspecified:
            return true;
        default:
            return false;
    }
}

/// The whole of `text` as a number; `refuse_bytes` for anything else.
template <class T>
T parse(const field& from, std::string_view text) {
    T value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc::result_out_of_range) {
        refuse_range(from, std::string(text),
                     std::is_integral_v<T>      ? "64 bits"
                     : std::is_same_v<T, float> ? "a float"
                                                : "a double");
    }
    if (failure != std::errc() || end != text.data() + text.size()) {
        refuse_bytes(from);
    }
    return value;
}

/// A binary integer of 2, 4 or 8 bytes; an oid has no sign.
std::int64_t binary_integer(const field& from) {
    binary_reader in(from.raw());
    std::int64_t value = 0;
    switch (from.type()) {
        case type_oid::int2:
            value = in.int16();
            break;
        case type_oid::int4:
            value = in.int32();
            break;
        case type_oid::oid:
            value = static_cast<std::uint32_t>(in.int32());
            break;
        default:
            value = in.int64();
    }
    if (!in.is_at_end()) {
        refuse_bytes(from);
    }
    return value;
}

template <class Bits, class Real>
Real binary_real(const field& from, Bits bits) {
    if (from.raw().size() != sizeof(Bits)) {
        refuse_bytes(from);
    }
    return std::bit_cast<Real>(bits);
}

double read_binary_real(const field& from) {
    binary_reader in(from.raw());
    return from.type() == type_oid::float4
               ? double{binary_real<std::uint32_t, float>(from, static_cast<std::uint32_t>(in.int32()))}
               : binary_real<std::uint64_t, double>(from, static_cast<std::uint64_t>(in.int64()));
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Pairs of hexadecimal digits into `out`; false: something else is among them, or `size` is not reached.
bool from_hex(std::string_view digits, std::byte* out, std::size_t size) noexcept {
    if (digits.size() != 2 * size) {
        return false;
    }
    for (std::size_t i = 0; i < size; ++i) {
        const int high = hex_digit(digits[2 * i]);
        const int low = hex_digit(digits[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = static_cast<std::byte>(high * 16 + low);
    }
    return true;
}

std::string to_hex(std::string_view raw) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "\\x";
    for (const char each : raw) {
        const auto byte = static_cast<unsigned char>(each);
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

/// The fewest digits that mean the number, as the server chooses them: with an exponent below 1e-4, and from
/// as many digits on as the type is sure to keep.
template <class Real>
std::string print(Real value) {
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "Infinity" : "-Infinity";
    }
    const Real size = std::abs(value);
    const Real large = std::is_same_v<Real, float> ? Real(1e6) : Real(1e15);
    const bool is_plain = size == 0 || (size >= Real(1e-4) && size < large);
    char text[40];
    const auto [end, failure] = std::to_chars(
        text, text + sizeof text, value, is_plain ? std::chars_format::fixed : std::chars_format::scientific);
    return failure == std::errc() ? std::string(text, end) : std::string();
}

}  // namespace

void refuse_type(const field& from, const char* wanted) {
    from.refuse(name_of(from.type()) + " is asked for as " + wanted);
}

void refuse_bytes(const field& from) {
    from.refuse("what came is no " + name_of(from.type()) + ": " + std::to_string(from.raw().size()) +
                " bytes");
}

void refuse_null(const field& from) {
    from.refuse("NULL; it is asked for as a value, not as an optional");
}

void refuse_range(const field& from, const std::string& value, const char* wanted) {
    from.refuse(value + " does not fit into " + wanted);
}

std::int64_t read_integer(const field& from) {
    switch (from.type()) {
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
        case type_oid::oid:
            return from.is_binary() ? binary_integer(from) : parse<std::int64_t>(from, from.raw());
        case type_oid::numeric:
            if (!from.is_binary()) {
                std::string_view text = from.raw();
                if (const std::size_t dot = text.find('.'); dot != std::string_view::npos) {
                    if (text.find_first_not_of('0', dot + 1) != std::string_view::npos) {
                        from.refuse(std::string(text) + " has a fraction and is asked for as an integer");
                    }
                    text = text.substr(0, dot);
                }
                if (text == "NaN" || text.ends_with("Infinity")) {
                    refuse_range(from, std::string(text), "64 bits");
                }
                return parse<std::int64_t>(from, text);
            }
            [[fallthrough]];
        default:
            refuse_type(from, "an integer");
    }
}

double read_real(const field& from) {
    switch (from.type()) {
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
        case type_oid::oid: {
            const std::int64_t value = read_integer(from);
            constexpr std::int64_t exact = std::int64_t{1} << std::numeric_limits<double>::digits;
            if (value > exact || value < -exact) {
                refuse_range(from, std::to_string(value), "a double without loss");
            }
            return static_cast<double>(value);
        }
        case type_oid::numeric:
            if (from.is_binary()) {
                refuse_type(from, "a floating-point number, in binary");
            }
            return parse<double>(from, from.raw());
        case type_oid::float4:  // its fewest digits mean another double than the number that is kept
            return from.is_binary() ? read_binary_real(from) : double{parse<float>(from, from.raw())};
        case type_oid::float8:
            return from.is_binary() ? read_binary_real(from) : parse<double>(from, from.raw());
        default:
            refuse_type(from, "a floating-point number");
    }
}

bool read_boolean(const field& from) {
    if (from.type() != type_oid::boolean) {
        refuse_type(from, "a bool");
    }
    const std::string_view raw = from.raw();
    const std::string_view yes = from.is_binary() ? std::string_view("\1", 1) : "t";
    const std::string_view no = from.is_binary() ? std::string_view("\0", 1) : "f";
    if (raw != yes && raw != no) {
        refuse_bytes(from);
    }
    return raw == yes;
}

std::string read_text(const field& from) {
    if (!from.is_binary() || is_text(from.type())) {
        return std::string(from.raw());
    }
    switch (from.type()) {
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
        case type_oid::oid:
            return std::to_string(binary_integer(from));
        case type_oid::float4:
            return print(static_cast<float>(read_binary_real(from)));
        case type_oid::float8:
            return print(read_binary_real(from));
        case type_oid::boolean:
            return read_boolean(from) ? "t" : "f";
        case type_oid::bytea:
            return to_hex(from.raw());
        case type_oid::json:
        case type_oid::jsonb:
            return read_json(from);
        case type_oid::uuid:
            return boost::uuids::to_string(read_uuid(from));
        case type_oid::date:
            return print_date(read_date(from));
        case type_oid::timestamp:
        case type_oid::timestamptz:
            return print_timestamp(read_timestamp(from, from.type()), from.type() == type_oid::timestamptz);
        default:
            refuse_type(from, "text, in binary (cast it to text in the statement)");
    }
}

bytes read_bytes(const field& from) {
    if (from.type() != type_oid::bytea) {
        refuse_type(from, "bytes");
    }
    std::string_view raw = from.raw();
    if (from.is_binary()) {
        const bytes_view all = as_bytes(raw);
        return {all.begin(), all.end()};
    }
    if (!raw.starts_with("\\x")) {
        from.refuse("bytea that is not in hexadecimal: bytea_output must be hex");
    }
    raw.remove_prefix(2);
    bytes result(raw.size() / 2);
    if (!from_hex(raw, result.data(), result.size())) {
        refuse_bytes(from);
    }
    return result;
}

std::string read_json(const field& from) {
    if (from.type() != type_oid::json && from.type() != type_oid::jsonb) {
        refuse_type(from, "JSON");
    }
    std::string_view raw = from.raw();
    if (from.is_binary() && from.type() == type_oid::jsonb) {
        if (raw.empty() || raw.front() != '\1') {
            refuse_bytes(from);
        }
        raw.remove_prefix(1);
    }
    return std::string(raw);
}

uuid read_uuid(const field& from) {
    if (from.type() != type_oid::uuid && !is_text(from.type())) {
        refuse_type(from, "a UUID");
    }
    uuid result{};
    auto* const out = reinterpret_cast<std::byte*>(result.data);
    if (from.is_binary() && from.type() == type_oid::uuid) {
        if (from.raw().size() != sizeof result.data) {
            refuse_bytes(from);
        }
        std::memcpy(out, from.raw().data(), sizeof result.data);
        return result;
    }
    std::string digits(from.raw());
    const bool has_dashes = digits.size() == 36 && digits[8] == '-' && digits[13] == '-' &&
                            digits[18] == '-' && digits[23] == '-';
    std::erase(digits, '-');
    if (!has_dashes || !from_hex(digits, out, sizeof result.data)) {
        from.refuse("what came is no UUID");
    }
    return result;
}

}  // namespace detail
}  // namespace levee::postgres
