#include "postgres/table_queries.hpp"

#include <cstddef>
#include <string_view>

#include "levee/postgres/detail/encoder.hpp"
#include "postgres/quote_name.hpp"

namespace levee::postgres::detail {
namespace {

/// Types whose values compare, and are assigned, without a cast.
int family(type_oid type) noexcept {
    switch (type) {
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
            return 1;
        case type_oid::text:
        case type_oid::varchar:
            return 2;
        case type_oid::float4:
        case type_oid::float8:
            return 3;
        default:
            return 0;
    }
}

bool same_family(type_oid a, type_oid b) noexcept {
    return a == b || (family(a) != 0 && family(a) == family(b));
}

std::string separated(std::size_t count, const auto& item, std::string_view between = ", ") {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
        all += (i == 0 ? std::string_view() : between);
        all += item(i);
    }
    return all;
}

/// "$2::text[]", and "$2::text[]::uuid[]" where the column wants another type than is sent.
std::string array_parameter(std::size_t number, type_oid sent, const table_column& column) {
    std::string text = "$" + std::to_string(number) + "::" + name_of(array_of(sent));
    if (!same_family(sent, column.type)) {
        text += "::" + column.type_name + "[]";
    }
    return column.collation.empty() ? text : text + " COLLATE " + column.collation;
}

std::string key_name(std::size_t i) {
    return "k" + std::to_string(i + 1);
}
std::string value_name(std::size_t i) {
    return "v" + std::to_string(i + 1);
}

/// unnest($1…, $2…) of the key columns' parameters, and of those behind them.
std::string key_parameters(const table_shape& table) {
    return separated(table.keys.size(), [&](std::size_t i) {
        return array_parameter(i + 1, table.sent_keys[i], table.keys[i]);
    });
}

std::string key_names(const table_shape& table, std::string_view prefix = {}) {
    return separated(table.keys.size(), [&](std::size_t i) { return std::string(prefix) + key_name(i); });
}

std::string key_columns(const table_shape& table) {
    return separated(table.keys.size(), [&](std::size_t i) { return quote_name(table.keys[i].name); });
}

/// t."id" = new.k1 AND …
std::string keys_match(const table_shape& table, std::string_view with) {
    return separated(
        table.keys.size(),
        [&](std::size_t i) {
            return "t." + quote_name(table.keys[i].name) + " = " + std::string(with) + "." + key_name(i);
        },
        " AND ");
}

/// The row's version as a number: a NULL, of a row that was written by others, is 0, older than any.
std::string version_of_row(const table_shape& table) {
    return table.version ? "coalesce(t." + quote_name(table.version->name) + ", 0)" : "0";
}

std::string selected_values(const table_shape& table) {
    std::string text;
    for (const table_column& each : table.values) {
        text += ", t." + quote_name(each.name);
    }
    return text + ", " + version_of_row(table);
}

}  // namespace

key_lookup lookup_of(const table_shape& table) noexcept {
    if (table.keys.size() != 1 || !table.keys.front().has_plain_equality ||
        !same_family(table.sent_keys.front(), table.keys.front().type)) {
        return key_lookup::join;
    }
    switch (table.keys.front().type) {
        case type_oid::boolean:
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
        case type_oid::text:
        case type_oid::varchar:
        case type_oid::bytea:
        case type_oid::uuid:
        case type_oid::date:
        case type_oid::timestamp:
        case type_oid::timestamptz:
            return key_lookup::any;
        default:  // 1.0 and 1.00, 0.0 and -0.0: equal, and not the same bytes
            return key_lookup::join;
    }
}

std::string load_query(const table_shape& table, key_lookup how) {
    const std::string from = " FROM " + table.qualified_name + " AS t";
    if (how == key_lookup::any) {
        const std::string key = "t." + quote_name(table.keys.front().name);
        return "SELECT " + key + selected_values(table) + from + " WHERE " + key + " = ANY(" +
               key_parameters(table) + ")";
    }
    return "SELECT wanted.n" + selected_values(table) + " FROM unnest(" + key_parameters(table) +
           ") WITH ORDINALITY AS wanted(" + key_names(table) + ", n) JOIN " + table.qualified_name +
           " AS t ON " + keys_match(table, "wanted");
}

std::string store_query(const table_shape& table, write_kind kind, bool has_versions) {
    const bool has_values = kind != write_kind::erase;
    std::size_t parameter = table.keys.size();
    std::string arrays = key_parameters(table);
    std::string names = key_names(table);
    if (has_values) {
        for (std::size_t i = 0; i < table.values.size(); ++i) {
            arrays += ", " + array_parameter(++parameter, table.sent_values[i], table.values[i]);
            names += ", " + value_name(i);
        }
    }
    if (kind == write_kind::mixed) {
        arrays += ", $" + std::to_string(++parameter) + "::bool[]";
        names += ", is_erased";
    }
    if (has_versions) {
        arrays += ", $" + std::to_string(++parameter) + "::int8[]";
        names += ", version";
    }
    const std::string version = table.version ? quote_name(table.version->name) : std::string();
    std::string text = "WITH new AS (SELECT DISTINCT ON (" + key_names(table) + ") * FROM unnest(" + arrays +
                       ") WITH ORDINALITY AS given(" + names + ", n) ORDER BY " + key_names(table) +
                       (has_versions ? ", version DESC" : "") + ", n DESC)";

    if (kind != write_kind::upsert) {
        const std::string condition =
            keys_match(table, "new") + (kind == write_kind::mixed ? " AND new.is_erased" : "") +
            (has_versions ? " AND " + version_of_row(table) + " < new.version" : "");
        const std::string erase =
            "DELETE FROM " + table.qualified_name + " AS t USING new WHERE " + condition;
        const std::string returning =
            table.version
                ? " RETURNING new.n, " + (has_versions ? std::string("new.version") : version_of_row(table))
                : "";
        if (kind == write_kind::erase) {
            return text + " " + erase + returning;
        }
        text += ", erased AS (" + erase + returning + ")";
    }

    std::string insert = "INSERT INTO " + table.qualified_name + " AS t (" + key_columns(table);
    for (const table_column& each : table.values) {
        insert += ", " + quote_name(each.name);
    }
    insert += (table.version ? ", " + version : "") + ") SELECT " + key_names(table);
    for (std::size_t i = 0; i < table.values.size(); ++i) {
        insert += ", " + value_name(i);
    }
    insert += table.version ? (has_versions ? ", version" : ", 1") : "";
    insert += " FROM new";
    insert += kind == write_kind::mixed ? " WHERE NOT is_erased" : "";
    insert += " ON CONFLICT (" + key_columns(table) + ") DO UPDATE SET ";
    insert += separated(table.values.size(), [&](std::size_t i) {
        const std::string name = quote_name(table.values[i].name);
        return name + " = EXCLUDED." + name;
    });
    if (table.version) {
        insert +=
            ", " + version + " = " + (has_versions ? "EXCLUDED." + version : version_of_row(table) + " + 1");
    }
    if (has_versions) {
        insert += " WHERE " + version_of_row(table) + " < EXCLUDED." + version;
    }
    if (!table.version) {
        return text + " " + insert;
    }
    // An insertion returns columns of the table only: whose row it was is found by the key.
    insert += " RETURNING " + separated(table.keys.size(), [&](std::size_t i) {
                  return "t." + quote_name(table.keys[i].name) + " AS " + key_name(i);
              });
    insert += ", t." + version + " AS version";
    text += ", written AS (" + insert + ") SELECT new.n, written.version FROM written JOIN new USING (" +
            key_names(table) + ")";
    return kind == write_kind::mixed ? text + " UNION ALL SELECT * FROM erased" : text;
}

std::string catalogue_query() {
    return R"(WITH relation AS (
    SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname = $2::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND CASE WHEN $1::text = '' THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1::text END),
wanted AS (SELECT name, n FROM unnest($4::text[]) WITH ORDINALITY AS w(name, n)),
found AS (
    SELECT w.n, w.name, a.attnum, CASE WHEN t.typbasetype <> 0 THEN t.typbasetype ELSE a.atttypid END AS type,
           coalesce(co.collisdeterministic, true) AS is_plain,
           CASE WHEN co.collname <> 'default' THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END
               AS coll
    FROM wanted AS w
    LEFT JOIN relation AS r ON true
    LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
    LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace)
SELECT (SELECT name FROM relation),
       EXISTS (SELECT 1 FROM pg_index AS i JOIN relation AS r ON r.oid = i.indrelid
               WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
                 AND i.indnkeyatts = cardinality($3::text[])
                 AND NOT EXISTS (SELECT 1 FROM generate_series(0, i.indnkeyatts - 1) AS s(at)
                                 WHERE NOT i.indkey[s.at] IN (SELECT f.attnum FROM found AS f
                                                              WHERE f.name = ANY($3::text[])))),
       array_agg(coalesce(type, 0)::int8 ORDER BY n),
       array_agg(coalesce(format_type(type, -1), '') ORDER BY n),
       array_agg(coalesce(coll, '') ORDER BY n),
       array_agg(is_plain ORDER BY n)
FROM found)";
}

std::string create_index_statement(const table_shape& table) {
    return "CREATE UNIQUE INDEX CONCURRENTLY ON " + table.qualified_name + " (" + key_columns(table) + ")";
}

}  // namespace levee::postgres::detail
