#include "postgres/table_queries.hpp"

#include <gtest/gtest.h>

#include <string>

#include "levee/postgres/table_options.hpp"

namespace {

using namespace levee::postgres;
using namespace levee::postgres::detail;

table_shape products() {
    table_shape shape;
    shape.qualified_name = "shop.products";
    shape.keys = {{"id", type_oid::int8, "bigint"}};
    shape.sent_keys = {type_oid::int8};
    shape.values = {{"name", type_oid::text, "text"}, {"price \"net\"", type_oid::numeric, "numeric"}};
    shape.sent_values = {type_oid::text, type_oid::float8};
    return shape;
}

table_shape lines() {
    table_shape shape;
    shape.qualified_name = "lines";
    shape.keys = {{"order", type_oid::uuid, "uuid"}, {"line", type_oid::int2, "smallint"}};
    shape.sent_keys = {type_oid::text, type_oid::int4};
    shape.values = {{"note", type_oid::varchar, "character varying"}};
    shape.sent_values = {type_oid::text};
    shape.version = table_column{"version", type_oid::int8, "bigint"};
    return shape;
}

TEST(TableQueries, load_one_key_column_by_any) {
    EXPECT_EQ(lookup_of(products()), key_lookup::any);
    EXPECT_EQ(
        load_query(products(), key_lookup::any),
        R"(SELECT t."id", t."name", t."price ""net""", 0 FROM shop.products AS t WHERE t."id" = ANY($1::int8[]))");
}

TEST(TableQueries, load_several_key_columns_by_a_join_with_casts_to_their_types) {
    EXPECT_EQ(lookup_of(lines()), key_lookup::join);
    EXPECT_EQ(
        load_query(lines(), key_lookup::join),
        R"(SELECT wanted.n, t."note", coalesce(t."version", 0) FROM unnest($1::text[]::uuid[], $2::int4[]) )"
        R"(WITH ORDINALITY AS wanted(k1, k2, n) JOIN lines AS t ON t."order" = wanted.k1 AND t."line" = wanted.k2)");
}

TEST(TableQueries, leave_equality_to_the_server_where_it_is_not_that_of_bytes) {
    table_shape shape = products();
    shape.keys[0] = {"code", type_oid::text, "text", "shop.no_case", false};
    shape.sent_keys[0] = type_oid::text;
    EXPECT_EQ(lookup_of(shape), key_lookup::join);
    EXPECT_NE(store_query(shape, write_kind::erase, false).find("unnest($1::text[] COLLATE shop.no_case)"),
              std::string::npos);
    shape.keys[0].has_plain_equality = true;
    EXPECT_EQ(lookup_of(shape), key_lookup::any);
    shape.keys[0].type = type_oid::bpchar;
    EXPECT_EQ(lookup_of(shape), key_lookup::join);
    shape.keys[0] = {"x", type_oid::float8, "double precision"};
    shape.sent_keys[0] = type_oid::float8;
    EXPECT_EQ(lookup_of(shape), key_lookup::join);
}

TEST(TableQueries, write_all_rows_by_one_insertion) {
    EXPECT_EQ(
        store_query(products(), write_kind::upsert, false),
        R"(WITH new AS (SELECT DISTINCT ON (k1) * FROM unnest($1::int8[], $2::text[], $3::float8[]::numeric[]) )"
        R"(WITH ORDINALITY AS given(k1, v1, v2, n) ORDER BY k1, n DESC) )"
        R"(INSERT INTO shop.products AS t ("id", "name", "price ""net""") SELECT k1, v1, v2 FROM new )"
        R"(ON CONFLICT ("id") DO UPDATE SET "name" = EXCLUDED."name", "price ""net""" = EXCLUDED."price ""net""")");
}

TEST(TableQueries, write_newer_versions_only) {
    EXPECT_EQ(
        store_query(lines(), write_kind::upsert, true),
        R"(WITH new AS (SELECT DISTINCT ON (k1, k2) * FROM unnest($1::text[]::uuid[], $2::int4[], $3::text[], )"
        R"($4::int8[]) WITH ORDINALITY AS given(k1, k2, v1, version, n) ORDER BY k1, k2, version DESC, n DESC), )"
        R"(written AS (INSERT INTO lines AS t ("order", "line", "note", "version") SELECT k1, k2, v1, version )"
        R"(FROM new ON CONFLICT ("order", "line") DO UPDATE SET "note" = EXCLUDED."note", )"
        R"("version" = EXCLUDED."version" WHERE coalesce(t."version", 0) < EXCLUDED."version" )"
        R"(RETURNING t."order" AS k1, t."line" AS k2, t."version" AS version) )"
        R"(SELECT new.n, written.version FROM written JOIN new USING (k1, k2))");
}

TEST(TableQueries, erase_and_write_in_one_statement) {
    EXPECT_EQ(
        store_query(products(), write_kind::erase, false),
        R"(WITH new AS (SELECT DISTINCT ON (k1) * FROM unnest($1::int8[]) WITH ORDINALITY AS given(k1, n) )"
        R"(ORDER BY k1, n DESC) DELETE FROM shop.products AS t USING new WHERE t."id" = new.k1)");
    const std::string mixed = store_query(products(), write_kind::mixed, false);
    EXPECT_NE(mixed.find("$4::bool[]"), std::string::npos) << mixed;
    EXPECT_NE(mixed.find("AND new.is_erased"), std::string::npos) << mixed;
    EXPECT_NE(mixed.find("FROM new WHERE NOT is_erased ON CONFLICT"), std::string::npos) << mixed;
}

TEST(TableQueries, show_the_index_that_is_missing) {
    EXPECT_EQ(create_index_statement(lines()),
              R"(CREATE UNIQUE INDEX CONCURRENTLY ON lines ("order", "line"))");
}

void expect_refused(const table_options& options, const std::string& part) {
    try {
        validate(options);
        FAIL() << "not refused: " << part;
    } catch (const std::invalid_argument& e) {
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
}

TEST(TableOptions, are_checked) {
    EXPECT_NO_THROW(validate({.table = "t"}));
    expect_refused({}, "table_options::table is empty");
    expect_refused({.table = std::string(64, 'x')}, "at most 63 bytes");
    expect_refused({.table = std::string("a\0b", 3)}, "free of NUL");
    expect_refused({.table = "t", .key_columns = {}}, "key_columns is empty");
    expect_refused({.table = "t", .value_columns = {"a", "a"}}, "\"a\" twice");
    expect_refused({.table = "t", .version_column = "key"}, "\"key\" twice");
    expect_refused({.table = "t", .batch = 0}, "batch is 0; it must be in [1, 100'000]");
    expect_refused({.table = "t", .timeout = std::chrono::seconds(-1)}, "timeout");
}

}  // namespace
