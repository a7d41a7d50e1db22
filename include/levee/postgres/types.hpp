/// PostgreSQL's types as levee names them, and the few C++ types that it adds.
#pragma once

#include <boost/uuid/uuid.hpp>
#include <cstdint>
#include <string>

namespace levee::postgres {

/// The number by which a server knows a type. Those of built-in types are the same everywhere.
enum class type_oid : std::uint32_t {
    unspecified = 0,  ///< Of a parameter: the type that its place wants, as of a quoted literal.
    boolean = 16,
    bytea = 17,
    char_byte = 18,
    name = 19,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    text = 25,
    oid = 26,
    json = 114,
    xml = 142,
    float4 = 700,
    float8 = 701,
    bpchar = 1042,
    varchar = 1043,
    date = 1082,
    time = 1083,
    timestamp = 1114,
    timestamptz = 1184,
    interval = 1186,
    numeric = 1700,
    uuid = 2950,
    jsonb = 3802,

    boolean_array = 1000,
    bytea_array = 1001,
    int2_array = 1005,
    int4_array = 1007,
    text_array = 1009,
    bpchar_array = 1014,
    varchar_array = 1015,
    int8_array = 1016,
    float4_array = 1021,
    float8_array = 1022,
    timestamp_array = 1115,
    date_array = 1182,
    timestamptz_array = 1185,
    interval_array = 1187,
    numeric_array = 1231,
    uuid_array = 2951,
    jsonb_array = 3807,
};

/// "int8", "timestamptz"; of a type that is not in `type_oid`: "type 16385".
[[nodiscard]] std::string name_of(type_oid type);

/// 16 bytes; Boost.Uuid makes and prints them.
using uuid = boost::uuids::uuid;

/// JSON as text: sent as jsonb, read from json and jsonb. levee does not look into it; the server does.
struct json {
    std::string text{};

    friend bool operator==(const json&, const json&) = default;
};

}  // namespace levee::postgres
