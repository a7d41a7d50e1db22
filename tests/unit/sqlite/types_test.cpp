/// How C++ types live in columns: round trips, storage classes, and rows that are something else.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/core/error.hpp"
#include "levee/sqlite/table_source.hpp"
#include "levee/store/codec.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace {

enum class colour : std::uint8_t { red = 1, blue = 255 };

struct product {
    std::int32_t price = 0;
    std::string name;
    friend bool operator==(const product&, const product&) = default;
};

levee::bytes blob(std::string_view text) {
    const levee::bytes_view view = levee::as_bytes(text);
    return {view.begin(), view.end()};
}

}  // namespace

/// The price at its own width, then the name; a negative price is refused.
template <>
struct levee::codec<product> {
    static void encode(const product& from, bytes& out) {
        codec<std::int32_t>::encode(from.price, out);
        codec<std::string>::encode(from.name, out);
    }
    static std::optional<product> decode(bytes_view from) {
        if (from.size() < sizeof(std::int32_t)) {
            return std::nullopt;
        }
        const auto price = codec<std::int32_t>::decode(from.first(sizeof(std::int32_t)));
        if (!price || *price < 0) {
            return std::nullopt;
        }
        return product{*price, std::string(as_text(from.subspan(sizeof(std::int32_t))))};
    }
};

namespace levee::tests {
namespace {

using sqlite::table_source;
using namespace std::string_literals;

class SqliteTypes : public ::testing::Test {
protected:
    /// A new file for each call.
    sqlite::table_options fresh() {
        return {.path = dir_ / ("data" + std::to_string(++files_) + ".db"),
                .table = "items",
                .create_if_missing = true,
                .connections = 1,
                .sync_every_commit = false};
    }

    /// A table of the given columns with the given rows, and a source over it.
    template <class K, class V>
    table_source<K, V> over(const std::string& columns, const std::string& rows) {
        const std::string path = dir_ / ("foreign" + std::to_string(++files_) + ".db");
        raw_database raw(path);
        raw.run("CREATE TABLE items (" + columns + "); INSERT INTO items VALUES " + rows);
        return table_source<K, V>({.path = path, .table = "items", .connections = 1});
    }

    /// Every value under its own key and again as a key, and the storage class SQLite chose for them.
    template <class T>
    void round_trips(const std::vector<T>& values, const std::string& storage) {
        const sqlite::table_options of_values = fresh();
        const sqlite::table_options of_keys = fresh();
        table_source<std::int64_t, T> by_number(of_values);
        table_source<T, std::int64_t> by_value(of_keys);
        for (std::size_t i = 0; i < values.size(); ++i) {
            put(by_number, static_cast<std::int64_t>(i), values[i]);
            put(by_value, values[i], static_cast<std::int64_t>(i));
        }
        for (std::size_t i = 0; i < values.size(); ++i) {
            EXPECT_EQ(get(by_number, static_cast<std::int64_t>(i)), values[i]) << "value " << i;
            EXPECT_EQ(get(by_value, values[i]), static_cast<std::int64_t>(i)) << "key " << i;
        }
        EXPECT_EQ(by_value.count(), values.size()) << "two of the keys were taken for one";
        raw_database raw_values(of_values.path);
        raw_database raw_keys(of_keys.path);
        EXPECT_EQ(raw_values.text("SELECT group_concat(DISTINCT typeof(value)) FROM items"), storage);
        EXPECT_EQ(raw_keys.text("SELECT group_concat(DISTINCT typeof(key)) FROM items"), storage);
    }

    temp_dir dir_;
    int files_ = 0;
};

template <class T>
std::vector<T> extremes() {
    return {std::numeric_limits<T>::min(), T{1}, std::numeric_limits<T>::max()};
}

TEST_F(SqliteTypes, integers_of_every_width_round_trip_as_integer) {
    round_trips<std::int8_t>(extremes<std::int8_t>(), "integer");
    round_trips<std::int16_t>(extremes<std::int16_t>(), "integer");
    round_trips<std::int32_t>(extremes<std::int32_t>(), "integer");
    round_trips<std::int64_t>(extremes<std::int64_t>(), "integer");
    round_trips<std::uint8_t>(extremes<std::uint8_t>(), "integer");
    round_trips<std::uint32_t>(extremes<std::uint32_t>(), "integer");
    round_trips<char>({'\0', 'x', '\x7f'}, "integer");
    round_trips<bool>({false, true}, "integer");
    round_trips<colour>({colour::red, colour::blue}, "integer");
}

TEST_F(SqliteTypes, unsigned_64_bit_integers_round_trip_as_twos_complement) {
    constexpr std::uint64_t above = std::uint64_t{1} << 63;
    round_trips<std::uint64_t>({0, above - 1, above, std::numeric_limits<std::uint64_t>::max()}, "integer");

    const sqlite::table_options options = fresh();
    table_source<std::uint64_t, std::uint64_t> source(options);
    put(source, above, above + 5);
    EXPECT_EQ(raw_database(options.path).text("SELECT value FROM items"), "-9223372036854775803");
}

TEST_F(SqliteTypes, floating_point_numbers_round_trip_as_real) {
    using limits = std::numeric_limits<double>;
    round_trips<double>({0.1, -2.0, 1e300, limits::min(), limits::denorm_min(), limits::max(),
                         limits::lowest(), limits::infinity(), -limits::infinity()},
                        "real");
    round_trips<float>({0.1F, 16777216.0F, std::numeric_limits<float>::max()}, "real");
}

TEST_F(SqliteTypes, strings_round_trip_as_text_with_nul_and_any_bytes) {
    round_trips<std::string>({""s, "a"s, "a\0b"s, "a\0c"s, "\0"s, "Grüße, 世界 🌊"s, "\xff\xfe\x80"s,
                              "'; DROP TABLE items; --"s, std::string(100'000, 'x')},
                             "text");
}

TEST_F(SqliteTypes, bytes_round_trip_as_blob_also_when_empty) {
    round_trips<bytes>({bytes{}, blob("a"), blob("a\0b"s), blob(std::string(70'000, '\xff'))}, "blob");
}

TEST_F(SqliteTypes, other_types_round_trip_through_their_codec_as_blob) {
    round_trips<product>({{0, ""}, {7, "nail"}, {7, "screw\0"s}}, "blob");
}

TEST_F(SqliteTypes, text_of_a_utf_16_database_is_read_as_utf_8) {
    const std::string path = dir_ / "wide.db";
    raw_database(path).run(
        "PRAGMA encoding = 'UTF-16'; CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT)");
    table_source<std::string, std::string> source({.path = path, .table = "items"});
    put(source, "ключ", "Grüße 🌊");
    EXPECT_EQ(get(source, "ключ"), "Grüße 🌊");
}

TEST_F(SqliteTypes, nan_is_refused_instead_of_being_stored_as_null) {
    table_source<std::int64_t, double> values(fresh());
    table_source<double, std::int64_t> keys(fresh());
    const error value = error_of([&] { put(values, 1, std::nan("")); });
    EXPECT_EQ(value.code(), errc::invalid_data);
    EXPECT_TRUE(says(value, {"column \"value\"", "NaN"}));
    const error key = error_of([&] { put(keys, std::nan(""), 1); });
    EXPECT_EQ(key.code(), errc::invalid_data);
    EXPECT_TRUE(says(key, {"column \"key\"", "NaN"}));
    EXPECT_EQ(get(keys, std::nan("")), std::nullopt);
}

TEST_F(SqliteTypes, a_null_value_is_not_found) {
    auto source =
        over<std::string, std::string>("key TEXT PRIMARY KEY, value TEXT", "('a', NULL), ('b', '')");
    const auto found = load(source, {"a"s, "b"s});
    EXPECT_EQ(found[0].what, load_outcome::not_found);
    EXPECT_EQ(found[1].what, load_outcome::value);
    EXPECT_EQ(found[1].value, "");
}

TEST_F(SqliteTypes, a_value_of_another_type_fails_its_own_key_only) {
    auto source = over<std::string, std::string>("key TEXT PRIMARY KEY, value",
                                                 "('a', 'fine'), ('b', 5), ('c', x'00'), ('d', 1.5)");
    const auto found = load(source, {"a"s, "b"s, "c"s, "d"s, "e"s});
    EXPECT_EQ(found[0].value, "fine");
    EXPECT_EQ(found[4].what, load_outcome::not_found);
    const char* const types[] = {"INTEGER", "BLOB", "REAL"};
    for (std::size_t i = 1; i <= 3; ++i) {
        ASSERT_EQ(found[i].what, load_outcome::failed);
        EXPECT_FALSE(found[i].value);
        const error why = error_of([&] { std::rethrow_exception(found[i].error); });
        EXPECT_EQ(why.code(), errc::invalid_data);
        EXPECT_TRUE(says(why, {source.path(), "table \"items\"", "column \"value\"", types[i - 1],
                               "TEXT is expected", "key of type TEXT"}));
    }
}

TEST_F(SqliteTypes, an_integer_outside_the_types_range_fails) {
    const char* const columns = "key INTEGER PRIMARY KEY, value";
    const char* const rows = "(1, 127), (2, 128), (3, -129), (4, -1), (5, 2), (6, 256), (7, 0)";
    const auto outcomes = [](const auto& found) {
        std::string text;
        for (const auto& one : found) {
            text += one.what == load_outcome::value ? 'v' : one.what == load_outcome::failed ? 'f' : '?';
        }
        return text;
    };
    const std::vector<int> keys{1, 2, 3, 4, 5, 6, 7};
    auto small = over<int, std::int8_t>(columns, rows);
    auto natural = over<int, std::uint8_t>(columns, rows);
    auto truth = over<int, bool>(columns, rows);
    auto named = over<int, colour>(columns, rows);
    auto wide = over<int, std::uint64_t>(columns, rows);
    EXPECT_EQ(outcomes(load(small, keys)), "vffvvfv");
    EXPECT_EQ(outcomes(load(natural, keys)), "vvffvfv");
    EXPECT_EQ(outcomes(load(truth, keys)), "ffffffv");
    EXPECT_EQ(outcomes(load(named, keys)), "vvffvfv");
    EXPECT_EQ(outcomes(load(wide, keys)), "vvvvvvv");
}

TEST_F(SqliteTypes, whole_integers_pass_as_floating_point_when_exact) {
    const std::string limit = std::to_string(std::int64_t{1} << 53);
    auto wide = over<int, double>("key INTEGER PRIMARY KEY, value NUMERIC",
                                  "(1, 2.0), (2, " + limit + "), (3, 9007199254740993), (4, 'x')");
    EXPECT_EQ(get(wide, 1), 2.0);
    EXPECT_EQ(get(wide, 2), 0x1p53);
    EXPECT_EQ(error_of([&] { (void)get(wide, 3); }).code(), errc::invalid_data);
    EXPECT_EQ(error_of([&] { (void)get(wide, 4); }).code(), errc::invalid_data);
    auto narrow =
        over<int, float>("key INTEGER PRIMARY KEY, value", "(1, 16777216), (2, 16777217), (3, 1e39)");
    EXPECT_EQ(get(narrow, 1), 0x1p24F);
    EXPECT_EQ(error_of([&] { (void)get(narrow, 2); }).code(), errc::invalid_data);
    EXPECT_EQ(error_of([&] { (void)get(narrow, 3); }).code(), errc::invalid_data);
}

TEST_F(SqliteTypes, bytes_that_the_codec_refuses_fail) {
    auto source = over<int, product>("key INTEGER PRIMARY KEY, value",
                                     "(1, x'0100000041'), (2, x'01'), (3, x'ffffffff'), (4, 'text')");
    EXPECT_EQ(get(source, 1), (product{1, "A"}));
    const error truncated = error_of([&] { (void)get(source, 2); });
    EXPECT_EQ(truncated.code(), errc::invalid_data);
    EXPECT_TRUE(says(truncated, {"column \"value\"", "BLOB", "codec", "key of type INTEGER"}));
    EXPECT_EQ(error_of([&] { (void)get(source, 3); }).code(), errc::invalid_data);
    EXPECT_TRUE(says(error_of([&] { (void)get(source, 4); }), {"TEXT where BLOB is expected"}));
}

TEST_F(SqliteTypes, only_tables_of_short_values_are_made_without_rowid) {
    const auto made = [&]<class K, class V>(table_source<K, V>*) {
        const sqlite::table_options options = fresh();
        const table_source<K, V> source(options);
        return raw_database(options.path).text("SELECT sql FROM sqlite_schema WHERE name = 'items'");
    };
    EXPECT_EQ(
        made(static_cast<table_source<std::string, double>*>(nullptr)),
        R"(CREATE TABLE "items" ("key" TEXT PRIMARY KEY NOT NULL, "value" REAL NOT NULL) WITHOUT ROWID)");
    EXPECT_EQ(made(static_cast<table_source<std::string, std::string>*>(nullptr)),
              R"(CREATE TABLE "items" ("key" TEXT PRIMARY KEY NOT NULL, "value" TEXT NOT NULL))");
    EXPECT_EQ(made(static_cast<table_source<int, bytes>*>(nullptr)),
              R"(CREATE TABLE "items" ("key" INTEGER PRIMARY KEY NOT NULL, "value" BLOB NOT NULL))");
}

}  // namespace
}  // namespace levee::tests
