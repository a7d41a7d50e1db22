/// Loads of many keys: order, misses, duplicates, statements run and prepared, names that need quoting.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "levee/sqlite/table_source.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace levee::tests {
namespace {

using sqlite::table_source;
using namespace std::string_literals;

/// What the connections opened since `watch` did. Written by SQLite's callbacks, on the test's own thread.
struct counts {
    int statements_run = 0;
    int selects_prepared = 0;
};
counts counted;

int watch(sqlite3* database, char**, const sqlite3_api_routines*) {
    const auto on_statement = [](unsigned, void*, void*, void*) {
        ++counted.statements_run;
        return 0;
    };
    const auto on_preparation = [](void*, int action, const char*, const char*, const char*, const char*) {
        counted.selects_prepared += action == SQLITE_SELECT ? 1 : 0;
        return SQLITE_OK;
    };
    sqlite3_trace_v2(database, SQLITE_TRACE_STMT, on_statement, nullptr);
    return sqlite3_set_authorizer(database, on_preparation, nullptr);
}

class SqliteBatch : public ::testing::Test {
protected:
    [[nodiscard]] sqlite::table_options options(std::size_t batch = 64) const {
        return {.path = dir_ / "data.db",
                .table = "items",
                .create_if_missing = true,
                .connections = 1,
                .batch = batch,
                .sync_every_commit = false};
    }

    /// Rows for every even key below `end`.
    template <class K>
    static void fill(table_source<K, std::string>& source, int end) {
        std::vector<write_op<K, std::string>> rows;
        for (int i = 0; i < end; i += 2) {
            rows.push_back({.key = key<K>(i), .value = "value " + std::to_string(i)});
        }
        (void)source.store(std::move(rows));
    }

    template <class K>
    static K key(int i) {
        if constexpr (std::is_same_v<K, std::string>) {
            return "key " + std::to_string(i);
        } else {
            return K{i};
        }
    }

    /// Loads `size` keys in a scattered order: half of them missing, every fifth a repetition.
    template <class K>
    static void expect_right_answers(table_source<K, std::string>& source, int size) {
        std::vector<int> asked;
        for (int i = 0; i < size; ++i) {
            asked.push_back(i % 5 == 4 ? asked[static_cast<std::size_t>(i / 2)] : (i * 7919) % 2003);
        }
        std::vector<K> keys;
        for (const int i : asked) {
            keys.push_back(key<K>(i));
        }
        const auto found = load(source, keys);
        ASSERT_EQ(found.size(), keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const auto wanted =
                asked[i] % 2 == 0 ? std::optional("value " + std::to_string(asked[i])) : std::nullopt;
            ASSERT_EQ(found[i].value, wanted) << i << " of " << size;
            ASSERT_EQ(found[i].what, wanted ? load_outcome::value : load_outcome::not_found);
        }
    }

    temp_dir dir_;
};

TEST_F(SqliteBatch, answers_stand_in_the_order_of_the_requests_at_every_size) {
    for (const std::size_t batch : {1U, 3U, 64U, 999U}) {
        table_source<std::string, std::string> texts(options(batch));
        fill(texts, 2003);
        for (const int size : {0, 1, 2, 3, 63, 64, 65, 128, 1000}) {
            expect_right_answers(texts, size);
        }
    }
}

TEST_F(SqliteBatch, integer_keys_are_answered_likewise) {
    table_source<std::int64_t, std::string> numbers(options());
    fill(numbers, 2003);
    for (const int size : {1, 2, 63, 64, 65, 1000}) {
        expect_right_answers(numbers, size);
    }
}

TEST_F(SqliteBatch, up_to_64_keys_are_one_statement_and_more_are_one_transaction) {
    const opening_hook hook(&watch);
    table_source<std::int64_t, std::string> source(options());
    fill(source, 2003);
    const auto statements_for = [&](int size) {
        counted = {};
        expect_right_answers(source, size);
        return counted.statements_run;
    };
    EXPECT_EQ(statements_for(0), 0);
    EXPECT_EQ(statements_for(1), 1);
    EXPECT_EQ(statements_for(64), 1);
    EXPECT_EQ(statements_for(65), 4) << "BEGIN, two loads, COMMIT";
}

TEST_F(SqliteBatch, a_statement_is_prepared_once_for_a_connection) {
    const opening_hook hook(&watch);
    table_source<std::int64_t, std::string> source(options());
    fill(source, 2003);
    const auto preparations_for = [&](int size) {
        counted = {};
        expect_right_answers(source, size);
        return counted.selects_prepared;
    };
    EXPECT_GT(preparations_for(5), 0);
    EXPECT_EQ(preparations_for(5), 0);
    EXPECT_EQ(preparations_for(8), 0) << "5 and 8 keys share a statement";
    EXPECT_GT(preparations_for(9), 0);
    EXPECT_EQ(preparations_for(16), 0);
}

TEST_F(SqliteBatch, the_columns_collation_decides_which_keys_are_equal) {
    const std::string path = dir_ / "nocase.db";
    raw_database(path).run(
        "CREATE TABLE items (key TEXT COLLATE NOCASE PRIMARY KEY, value TEXT); INSERT INTO items VALUES "
        "('Abc', 'one')");
    table_source<std::string, std::string> source({.path = path, .table = "items"});
    EXPECT_EQ(get(source, "aBC"), "one");
    const auto found = load(source, {"ABC"s, "x"s, "abc"s});
    EXPECT_EQ(found[0].value, "one");
    EXPECT_FALSE(found[1].value);
    EXPECT_EQ(found[2].value, "one");
}

TEST_F(SqliteBatch, any_row_answers_for_a_key_that_is_not_unique) {
    const std::string path = dir_ / "log.db";
    raw_database(path).run(
        "CREATE TABLE items (key TEXT, value TEXT); INSERT INTO items VALUES ('a', 'one'), ('a', 'two')");
    table_source<std::string, std::string> source({.path = path, .table = "items"});
    const auto found = load(source, {"a"s, "b"s, "a"s});
    EXPECT_TRUE(found[0].value == "one" || found[0].value == "two");
    EXPECT_FALSE(found[1].value);
    EXPECT_EQ(found[2].value, found[0].value);
}

TEST_F(SqliteBatch, keys_are_never_taken_for_sql) {
    table_source<std::string, std::string> source(options());
    const std::vector<std::string> keys{"' OR '1'='1",
                                        "x'; DROP TABLE items; --",
                                        "?1",
                                        ":key",
                                        "@key",
                                        "\"items\"",
                                        "key",
                                        "*",
                                        "%",
                                        "NULL",
                                        "') UNION ALL",
                                        "a\nb",
                                        "\\",
                                        "",
                                        "\0"s};
    for (const std::string& key : keys) {
        put(source, key, "of " + key);
    }
    EXPECT_EQ(source.count(), keys.size());
    const auto found = load(source, keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        EXPECT_EQ(found[i].value, "of " + keys[i]);
        EXPECT_EQ(get(source, keys[i]), "of " + keys[i]);
    }
    EXPECT_EQ(get(source, "' OR '1'='1' --"), std::nullopt);
}

TEST_F(SqliteBatch, identifiers_may_hold_anything_but_nul) {
    const std::vector<std::string> names{"select", "with space", "say \"hi\"", "a]b`c'd", "x; DROP TABLE y",
                                         "größe",  "t",          "wanted",     "%s",      "a.b"};
    for (const std::string& name : names) {
        const sqlite::table_options odd{.path = dir_ / "names.db",
                                        .table = "table " + name,
                                        .key_column = name,
                                        .value_column = name + " value",
                                        .create_if_missing = true};
        table_source<std::string, std::string> source(odd);
        put(source, "a", "1");
        put(source, "a", "2");
        put(source, "b", "3");
        EXPECT_EQ(load(source, {"b"s, "a"s})[1].value, "2") << name;
        (void)source.store({{.key = "a"}});
        EXPECT_EQ(get(source, "a"), std::nullopt) << name;
        EXPECT_EQ(source.count(), 1U) << name;
    }
    for (const std::string& name : {"t"s, "wanted"s}) {
        table_source<std::string, std::string> source({.path = dir_ / "clash.db",
                                                       .table = name,
                                                       .key_column = "number",
                                                       .value_column = "key",
                                                       .create_if_missing = true});
        put(source, "a", "1");
        EXPECT_EQ(load(source, {"b"s, "a"s})[1].value, "1") << name;
    }
}

}  // namespace
}  // namespace levee::tests
