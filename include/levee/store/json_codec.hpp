/// A codec that writes JSON, for types described with Boost.Describe. To be included by whom wants it: the
/// program links Boost.JSON, or includes <boost/json/src.hpp> in one of its source files.
#pragma once

#include <boost/json/conversion.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_from.hpp>
#include <boost/json/value_to.hpp>
#include <boost/system/error_code.hpp>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "levee/core/bytes.hpp"

namespace levee {

/// The base of a codec for a type that Boost.JSON converts, as it does described structs and enumerations,
/// and containers and optionals of them:
///
///     struct product { std::string name; std::int64_t price; std::vector<std::string> tags; };
///     BOOST_DESCRIBE_STRUCT(product, (), (name, price, tags))
///     template <> struct levee::codec<product> : levee::json_codec<product> {};
///
/// Text that is not JSON, nested deeper than 32 levels, or without just the members of T, is foreign: a
/// member more or less is another version. Slower and longer than `raw_codec` by far; readable by others.
/// JSON has no infinities and no NaN: a value with them is a miss when it is read. Boost.JSON may read a
/// double with its last bit changed (before 1.83).
template <class T>
struct json_codec {
    static void encode(const T& from, bytes& out) {
        const std::string text = boost::json::serialize(boost::json::value_from(from));
        const bytes_view raw = as_bytes(text);
        out.insert(out.end(), raw.begin(), raw.end());
    }

    static std::optional<T> decode(bytes_view from) {
        const std::string_view text = as_text(from);
        boost::system::error_code failure;
        const boost::json::value parsed =
            boost::json::parse(boost::json::string_view(text.data(), text.size()), failure);
        if (failure) {
            return std::nullopt;
        }
        try {
            auto converted = boost::json::try_value_to<T>(parsed);
            return converted ? std::optional<T>(std::move(*converted)) : std::nullopt;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception&) {
            return std::nullopt;  // conversions of the user may throw
        }
    }
};

}  // namespace levee
