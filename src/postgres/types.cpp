#include "levee/postgres/types.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace levee::postgres {
namespace {

constexpr std::array<std::pair<type_oid, std::string_view>, 41> names{{
    {type_oid::unspecified, "an unspecified type"},
    {type_oid::boolean, "bool"},
    {type_oid::bytea, "bytea"},
    {type_oid::char_byte, "\"char\""},
    {type_oid::name, "name"},
    {type_oid::int8, "int8"},
    {type_oid::int2, "int2"},
    {type_oid::int4, "int4"},
    {type_oid::text, "text"},
    {type_oid::oid, "oid"},
    {type_oid::json, "json"},
    {type_oid::xml, "xml"},
    {type_oid::float4, "float4"},
    {type_oid::float8, "float8"},
    {type_oid::bpchar, "bpchar"},
    {type_oid::varchar, "varchar"},
    {type_oid::date, "date"},
    {type_oid::time, "time"},
    {type_oid::timestamp, "timestamp"},
    {type_oid::timestamptz, "timestamptz"},
    {type_oid::interval, "interval"},
    {type_oid::numeric, "numeric"},
    {type_oid::uuid, "uuid"},
    {type_oid::jsonb, "jsonb"},
    {type_oid::boolean_array, "bool[]"},
    {type_oid::bytea_array, "bytea[]"},
    {type_oid::int2_array, "int2[]"},
    {type_oid::int4_array, "int4[]"},
    {type_oid::text_array, "text[]"},
    {type_oid::bpchar_array, "bpchar[]"},
    {type_oid::varchar_array, "varchar[]"},
    {type_oid::int8_array, "int8[]"},
    {type_oid::float4_array, "float4[]"},
    {type_oid::float8_array, "float8[]"},
    {type_oid::timestamp_array, "timestamp[]"},
    {type_oid::date_array, "date[]"},
    {type_oid::timestamptz_array, "timestamptz[]"},
    {type_oid::interval_array, "interval[]"},
    {type_oid::numeric_array, "numeric[]"},
    {type_oid::uuid_array, "uuid[]"},
    {type_oid::jsonb_array, "jsonb[]"},
}};

}  // namespace

std::string name_of(type_oid type) {
    for (const auto& [known, name] : names) {
        if (known == type) {
            return std::string(name);
        }
    }
    return "type " + std::to_string(static_cast<std::uint32_t>(type));
}

}  // namespace levee::postgres
