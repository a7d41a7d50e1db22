#include <cctype>

#include "levee/postgres/detail/decode.hpp"
#include "postgres/binary_reader.hpp"

namespace levee::postgres::detail {
namespace {

/// The type of the elements of an array type; `unspecified`: of a type that is none, or is not known.
type_oid element_type(type_oid array) noexcept {
    for (const type_oid element :
         {type_oid::boolean, type_oid::bytea, type_oid::int2, type_oid::int4, type_oid::int8, type_oid::text,
          type_oid::float4, type_oid::float8, type_oid::date, type_oid::timestamp, type_oid::timestamptz,
          type_oid::interval, type_oid::uuid, type_oid::jsonb}) {
        if (array == array_of(element)) {
            return element;
        }
    }
    switch (array) {
        case type_oid::varchar_array:
            return type_oid::varchar;
        case type_oid::bpchar_array:
            return type_oid::bpchar;
        case type_oid::numeric_array:
            return type_oid::numeric;
        default:
            return type_oid::unspecified;
    }
}

[[noreturn]] void refuse(const field& from) {
    from.refuse(name_of(from.type()) + " is asked for as an array");
}

std::vector<field> read_binary(const field& from) {
    binary_reader in(from.raw());
    const std::int32_t dimensions = in.int32();
    static_cast<void>(in.int32());  // whether there are NULLs
    const auto element = static_cast<type_oid>(in.int32());
    if (dimensions > 1) {
        from.refuse("an array of " + std::to_string(dimensions) + " dimensions; only one can be read");
    }
    std::vector<field> elements;
    if (dimensions == 1) {
        const std::int32_t count = in.int32();
        static_cast<void>(in.int32());  // the first index
        if (count < 0 || static_cast<std::size_t>(count) > from.raw().size() / 4) {
            refuse(from);
        }
        elements.reserve(static_cast<std::size_t>(count));
        for (std::int32_t i = 0; i < count; ++i) {
            const std::int32_t size = in.int32();
            const std::string_view raw =
                size < 0 ? std::string_view() : in.raw(static_cast<std::size_t>(size));
            elements.emplace_back(element, true, size < 0, raw, from.where());
        }
    }
    if (!in.is_at_end()) {
        refuse(from);
    }
    return elements;
}

/// `{1,NULL,"a \"b\" \\ c"}`, after bounds like `[0:2]=` perhaps.
std::vector<field> read_text(const field& from, std::string& scratch) {
    std::string_view text = from.raw();
    if (text.starts_with('[')) {
        const std::size_t equals = text.find('=');
        text.remove_prefix(equals == std::string_view::npos ? text.size() : equals + 1);
    }
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') {
        refuse(from);
    }
    text = text.substr(1, text.size() - 2);
    const type_oid element = element_type(from.type());
    scratch.reserve(text.size());  // so that views into it stay valid: it only shrinks what it takes
    std::vector<field> elements;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t begin = scratch.size();
        const bool is_quoted = text[at] == '"';
        if (text[at] == '{') {
            from.refuse("an array of several dimensions; only one can be read");
        }
        if (is_quoted) {
            for (++at; at < text.size() && text[at] != '"'; ++at) {
                at += text[at] == '\\' ? 1U : 0U;
                if (at < text.size()) {
                    scratch += text[at];
                }
            }
            if (at >= text.size()) {
                refuse(from);
            }
            ++at;
        } else {
            const std::size_t end = std::min(text.find(',', at), text.size());
            scratch += text.substr(at, end - at);
            at = end;
        }
        const std::string_view raw = std::string_view(scratch).substr(begin);
        const bool is_null = !is_quoted && raw == "NULL";
        elements.emplace_back(element, false, is_null, is_null ? std::string_view() : raw, from.where());
        if (at < text.size()) {
            if (text[at] != ',' || at + 1 == text.size()) {
                refuse(from);
            }
            ++at;
        }
    }
    return elements;
}

}  // namespace

std::vector<field> read_array(const field& from, std::string& scratch) {
    const bool is_known = element_type(from.type()) != type_oid::unspecified;
    // Arrays of enumerations and of types of extensions have numbers that only their database knows.
    constexpr std::uint32_t first_of_users = 16'384;
    if (!is_known && static_cast<std::uint32_t>(from.type()) < first_of_users && !from.is_binary()) {
        refuse(from);
    }
    return from.is_binary() ? read_binary(from) : read_text(from, scratch);
}

}  // namespace levee::postgres::detail
