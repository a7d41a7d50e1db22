#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/cache/write_through.hpp"
#include "levee/core/error.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace levee::postgres;
using levee::load_outcome;
using levee::tests::postgres_server;

struct product {
    std::string name{};
    std::int64_t price = 0;
    friend bool operator==(const product&, const product&) = default;
};

struct line_key {
    std::int32_t order = 0;
    std::int16_t line = 0;
};

class PostgresTable : public testing::Test {
protected:
    void SetUp() override {
        if (!postgres_server::is_installed()) {
            GTEST_SKIP() << postgres_server::why_skipped;
        }
        server_ = std::make_unique<postgres_server>();
        server_->execute(
            "CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL, price bigint NOT NULL, "
            "added timestamptz NOT NULL DEFAULT now());"
            "INSERT INTO products SELECT i, 'product ' || i, i * 10 FROM generate_series(1, 500) AS i");
        db_ = std::make_shared<pool>(
            pool_options{.connection = {.uri = server_->uri(), .executor = runtime_.get_executor()}});
    }

    template <class K, class V>
    static std::vector<levee::loaded<V>> load(table_source<K, V>& from, std::vector<K> keys) {
        std::vector<levee::load_request<K, V>> requests;
        for (K& each : keys) {
            requests.push_back({.key = std::move(each)});
        }
        return from.load(std::move(requests));
    }
    template <class K, class V>
    static std::optional<V> value_of(table_source<K, V>& from, K key) {
        return load(from, std::vector<K>{std::move(key)}).front().value;
    }

    table_source<std::int64_t, product> products(table_options further = {}) {
        further.table = "products";
        further.key_columns = {"id"};
        further.value_columns = {"name", "price"};
        return {db_, further};
    }

    std::unique_ptr<postgres_server> server_;
    levee::runtime runtime_{2};
    std::shared_ptr<pool> db_;
};

TEST_F(PostgresTable, loads_rows_in_the_order_of_their_requests) {
    auto source = products();
    const auto found = load<std::int64_t, product>(source, {3, 1, 999, 3, -1, 500});
    ASSERT_EQ(found.size(), 6U);
    EXPECT_EQ(found[0].value, (product{"product 3", 30}));
    EXPECT_EQ(found[1].value, (product{"product 1", 10}));
    EXPECT_EQ(found[2].what, load_outcome::not_found);
    EXPECT_EQ(found[3].value, found[0].value) << "asked for twice";
    EXPECT_EQ(found[4].what, load_outcome::not_found);
    EXPECT_EQ(found[5].value, (product{"product 500", 5000}));
    EXPECT_TRUE((load<std::int64_t, product>(source, {}).empty()));
}

TEST_F(PostgresTable, loads_and_writes_in_several_statements_when_there_are_more_keys_than_a_batch) {
    auto source = products({.batch = 7});
    std::vector<std::int64_t> keys;
    std::vector<levee::write_op<std::int64_t, product>> writes;
    for (std::int64_t i = 490; i < 530; ++i) {
        keys.push_back(i);
        writes.push_back({.key = i, .value = product{"new " + std::to_string(i), i}});
    }
    auto found = load(source, keys);
    EXPECT_EQ(
        std::count_if(found.begin(), found.end(), [](const auto& each) { return each.value.has_value(); }),
        11);
    static_cast<void>(source.store(writes));
    found = load(source, keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        EXPECT_EQ(found[i].value, writes[i].value);
    }
}

TEST_F(PostgresTable, writes_and_erases_and_the_last_write_of_a_key_counts) {
    auto source = products();
    const auto report = source.store({{.key = 1, .value = product{"a", 1}},
                                      {.key = 1001, .value = product{"b", 2}},
                                      {.key = 2, .value = std::nullopt},
                                      {.key = 1, .value = product{"c", 3}},
                                      {.key = 3, .value = std::nullopt},
                                      {.key = 3, .value = product{"d", 4}},
                                      {.key = 4, .value = product{"e", 5}},
                                      {.key = 4, .value = std::nullopt},
                                      {.key = 5000, .value = std::nullopt}});
    EXPECT_EQ(report.size(), 9U);
    EXPECT_EQ(value_of(source, std::int64_t{1}), (product{"c", 3}));
    EXPECT_EQ(value_of(source, std::int64_t{1001}), (product{"b", 2}));
    EXPECT_EQ(value_of(source, std::int64_t{2}), std::nullopt);
    EXPECT_EQ(value_of(source, std::int64_t{3}), (product{"d", 4}));
    EXPECT_EQ(value_of(source, std::int64_t{4}), std::nullopt);
    static_cast<void>(source.store({{.key = 1}, {.key = 3}}));
    EXPECT_EQ(value_of(source, std::int64_t{1}), std::nullopt);
    EXPECT_EQ(server_->execute("SELECT count(*) FROM products"), "497");  // 1001 came; 1, 2, 3 and 4 went
}

TEST_F(PostgresTable, writes_a_batch_whole_or_not_at_all_and_says_which_row_was_refused) {
    server_->execute("ALTER TABLE products ADD UNIQUE (name)");
    auto source = products();
    try {
        static_cast<void>(source.store(
            {{.key = 601, .value = product{"fine", 1}}, {.key = 602, .value = product{"product 7", 1}}}));
        FAIL();
    } catch (const sql_error& e) {
        EXPECT_EQ(e.code(), sqlstate::unique_violation);
        EXPECT_EQ(e.detail(), "Key (name)=(product 7) already exists.");
    }
    EXPECT_EQ(value_of(source, std::int64_t{601}), std::nullopt);
}

TEST_F(PostgresTable, works_in_coroutines) {
    auto source = products();
    const auto work = [&source]() -> boost::asio::awaitable<std::optional<product>> {
        std::vector<levee::write_op<std::int64_t, product>> writes(1);
        writes[0].key = 700;
        writes[0].value = product{"coroutine", 7};
        static_cast<void>(co_await source.async_store(std::move(writes)));
        std::vector<levee::load_request<std::int64_t, product>> requests(2);
        requests[0].key = 1;
        requests[1].key = 700;
        std::vector<levee::loaded<product>> found = co_await source.async_load(std::move(requests));
        co_return found[1].value;
    };
    EXPECT_EQ(boost::asio::co_spawn(runtime_.get_executor(), work, boost::asio::use_future).get(),
              (product{"coroutine", 7}));
}

TEST_F(PostgresTable, has_keys_of_several_columns) {
    server_->execute(
        "CREATE TABLE lines (order_id int, line smallint, note varchar(20), PRIMARY KEY (order_id, line))");
    table_source<line_key, std::string> source(
        db_, {.table = "lines", .key_columns = {"order_id", "line"}, .value_columns = {"note"}});
    static_cast<void>(source.store({{.key = {1, 1}, .value = "one"},
                                    {.key = {1, 2}, .value = "two"},
                                    {.key = {2, 1}, .value = "three"}}));
    static_cast<void>(source.store({{.key = {1, 2}}, {.key = {2, 1}, .value = "four"}}));
    const auto found = load<line_key, std::string>(source, {{2, 1}, {1, 2}, {1, 1}, {2, 1}});
    EXPECT_EQ(found[0].value, "four");
    EXPECT_EQ(found[1].what, load_outcome::not_found);
    EXPECT_EQ(found[2].value, "one");
    EXPECT_EQ(found[3].value, "four");

    table_source<std::pair<std::int32_t, std::int32_t>, std::string> same(
        db_, {.table = "lines", .key_columns = {"order_id", "line"}, .value_columns = {"note"}});
    EXPECT_EQ(value_of(same, std::pair(1, 1)), "one");
}

TEST_F(PostgresTable, leaves_the_equality_of_keys_to_the_server) {
    server_->execute(
        "CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE codes (code text COLLATE no_case PRIMARY KEY, fixed char(8) UNIQUE, u uuid UNIQUE, n "
        "numeric UNIQUE, value text);"
        "INSERT INTO codes VALUES ('Abc', 'ab', '0f8fad5b-d9cb-469f-a165-70867728950e', 1.50, 'found')");
    const auto source_by = [&](const char* column) {
        return table_source<std::string, std::string>(db_, {.table = "codes", .key_columns = {column}});
    };
    auto by_code = source_by("code");
    EXPECT_EQ((load<std::string, std::string>(by_code, {"ABC", "x", "abc"})[0].value), "found");
    EXPECT_EQ((load<std::string, std::string>(by_code, {"ABC", "x", "abc"})[2].value), "found");
    static_cast<void>(by_code.store({{.key = "aBC", .value = "one"}, {.key = "abC", .value = "other"}}));
    EXPECT_EQ(server_->execute("SELECT code || value FROM codes"), "Abcother");
    auto by_fixed = source_by("fixed");
    EXPECT_EQ((load<std::string, std::string>(by_fixed, {"ab", "abc"})[0].value), "other");
    auto by_uuid = source_by("u");
    const auto by_both_cases = load<std::string, std::string>(
        by_uuid, {"0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-469f-a165-70867728950e"});
    EXPECT_EQ(by_both_cases[0].value, "other");
    EXPECT_EQ(by_both_cases[1].value, "other");
    EXPECT_THROW(static_cast<void>(value_of(by_uuid, std::string("no uuid"))), sql_error);
    auto by_number = source_by("n");
    EXPECT_EQ((load<std::string, std::string>(by_number, {"1.5", "2"})[0].value), "other");
}

TEST_F(PostgresTable, takes_a_row_without_a_version_for_the_oldest) {
    server_->execute(
        "CREATE TABLE imported (key text PRIMARY KEY, value text, version bigint);"
        "INSERT INTO imported SELECT key, 'old' FROM unnest(ARRAY['a', 'b', 'c', 'd', 'e']) AS key");
    table_source<std::string, std::string> source(db_, {.table = "imported", .version_column = "version"});
    const auto found = load<std::string, std::string>(source, {"a", "b"});
    EXPECT_EQ(found[0].value, "old");
    EXPECT_EQ(found[0].version, 0U);
    auto report = source.store({{.key = "a", .value = "counted"}});
    EXPECT_EQ(report[0].version, 1U);
    report = source.store({{.key = "b", .value = "given", .version = 5}, {.key = "c", .version = 6}});
    EXPECT_EQ(report[0].version, 5U);
    EXPECT_EQ(report[1].version, 6U);
    report = source.store({{.key = "d"}});
    EXPECT_EQ(report[0].version, 0U);
    report = source.store({{.key = "d", .value = "again"}, {.key = "e"}});
    EXPECT_EQ(report[0].version, 1U);
    EXPECT_EQ(value_of(source, std::string("b")), "given");
    EXPECT_EQ(value_of(source, std::string("c")), std::nullopt);
    EXPECT_EQ(value_of(source, std::string("e")), std::nullopt);
}

TEST_F(PostgresTable, keeps_the_newest_of_versions) {
    server_->execute("CREATE TABLE versioned (key text PRIMARY KEY, value text, version bigint)");
    table_source<std::string, std::string> source(db_, {.table = "versioned", .version_column = "version"});
    auto report =
        source.store({{.key = "a", .value = "first"}, {.key = "b", .value = "given", .version = 7}});
    EXPECT_EQ(report[0].version, 1U);
    EXPECT_EQ(report[1].version, 7U);
    report = source.store({{.key = "a", .value = "second"},
                           {.key = "b", .value = "late", .version = 6},
                           {.key = "c", .value = "x", .version = 3}});
    EXPECT_EQ(report[0].version, 2U);
    EXPECT_EQ(report[1].version, 0U) << "something newer was there";
    EXPECT_EQ(report[2].version, 3U);
    const auto found = load<std::string, std::string>(source, {"a", "b"});
    EXPECT_EQ(found[0].version, 2U);
    EXPECT_EQ(found[1].value, "given");
    EXPECT_EQ(found[1].version, 7U);
    // In one batch the highest counts, wherever it stands; an older erasure takes nothing away.
    static_cast<void>(source.store({{.key = "b", .value = "nine", .version = 9},
                                    {.key = "b", .value = "eight", .version = 8},
                                    {.key = "c", .version = 2}}));
    EXPECT_EQ(value_of(source, std::string("b")), "nine");
    EXPECT_EQ(value_of(source, std::string("c")), "x");
    report = source.store({{.key = "c", .version = 4}, {.key = "d", .value = "y", .version = 1}});
    EXPECT_EQ(report[0].version, 4U);
    EXPECT_EQ(value_of(source, std::string("c")), std::nullopt);
    report = source.store({{.key = "d"}, {.key = "a", .value = "third"}});
    EXPECT_EQ(report[1].version, 3U);
    EXPECT_EQ(value_of(source, std::string("d")), std::nullopt);
}

TEST_F(PostgresTable, fails_the_keys_whose_values_do_not_fit_and_no_others) {
    server_->execute(
        "CREATE TABLE numbers (key int PRIMARY KEY, value int);"
        "INSERT INTO numbers VALUES (1, 5), (2, 300), (3, NULL)");
    table_source<int, std::int8_t> source(db_, {.table = "numbers"});
    const auto found = load<int, std::int8_t>(source, {1, 2, 3});
    EXPECT_EQ(found[0].value, std::int8_t{5});
    EXPECT_EQ(found[1].what, load_outcome::failed);
    EXPECT_EQ(found[2].what, load_outcome::not_found) << "NULL";
}

TEST_F(PostgresTable, fails_the_keys_that_cannot_be_sent_and_no_others) {
    server_->execute(
        "CREATE TABLE words (key text, part int, value int, PRIMARY KEY (key, part)); CREATE UNIQUE INDEX ON "
        "words (key);"
        "INSERT INTO words VALUES ('a', 1, 1), ('b', 1, 2), ('c', 1, 3)");
    const std::string nul("a\0b", 3);
    table_source<std::string, int> one(db_, {.table = "words", .batch = 2});
    const auto found = load<std::string, int>(one, {"a", nul, "b", "\xff", "c", "b"});
    ASSERT_EQ(found.size(), 6U);
    EXPECT_EQ(found[0].value, 1);
    EXPECT_EQ(found[1].what, load_outcome::failed);
    EXPECT_EQ(found[2].value, 2);
    EXPECT_EQ(found[3].what, load_outcome::failed);
    EXPECT_EQ(found[4].value, 3);
    EXPECT_EQ(found[5].value, 2);
    EXPECT_EQ((load<std::string, int>(one, {nul})).front().what, load_outcome::failed);
    using both = std::tuple<std::string, int>;
    table_source<both, int> two(db_, {.table = "words", .key_columns = {"key", "part"}});
    const auto pairs = load<both, int>(two, {{nul, 1}, {"c", 1}, {"c", 2}});
    EXPECT_EQ(pairs[0].what, load_outcome::failed);
    EXPECT_EQ(pairs[1].value, 3);
    EXPECT_EQ(pairs[2].what, load_outcome::not_found);
}

TEST_F(PostgresTable, is_found_wanting_when_the_source_is_made) {
    server_->execute(
        "CREATE SCHEMA \"my shop\"; CREATE TABLE \"my shop\".\"the \"\"Table\"\"\" (\"Key\" int, value text);"
        "CREATE INDEX ON \"my shop\".\"the \"\"Table\"\"\" (\"Key\")");
    const table_options options{.table = "the \"Table\"", .schema = "my shop", .key_columns = {"Key"}};
    const auto refusal = [&](const table_options& chosen) {
        try {
            table_source<int, std::string> source(db_, chosen);
        } catch (const levee::error& e) {
            return std::pair(e.code(), std::string(e.what()));
        }
        return std::pair(std::error_code(), std::string());
    };
    const auto [code, what] = refusal(options);
    EXPECT_EQ(code, levee::errc::invalid_data);
    const std::string statement =
        "CREATE UNIQUE INDEX CONCURRENTLY ON \"my shop\".\"the \"\"Table\"\"\" (\"Key\")";
    EXPECT_NE(what.find(statement), std::string::npos) << what;
    server_->execute("CREATE UNIQUE INDEX ON \"my shop\".\"the \"\"Table\"\"\" (\"Key\") WHERE \"Key\" > 0");
    EXPECT_EQ(refusal(options).first, levee::errc::invalid_data) << "a partial index does not do";
    server_->execute(statement);
    EXPECT_EQ(refusal(options).second, "");

    table_source<int, std::string> source(db_, options);
    static_cast<void>(source.store({{.key = 1, .value = "quoted"}}));
    EXPECT_EQ(value_of(source, 1), "quoted");

    EXPECT_EQ(refusal({.table = "nothing"}).first, levee::errc::unavailable);
    EXPECT_NE(refusal({.table = "products", .key_columns = {"id"}}).second.find("has no column \"value\""),
              std::string::npos);
    EXPECT_THROW((table_source<int, product>(db_, {.table = "products", .key_columns = {"id"}})),
                 std::invalid_argument);
    EXPECT_THROW((table_source<int, std::string>(nullptr, {.table = "products"})), std::invalid_argument);
}

TEST_F(PostgresTable, does_not_deadlock_when_batches_overlap) {
    auto source = products();
    const auto write = [&source](bool upwards) {
        for (int round = 0; round < 50; ++round) {
            std::vector<levee::write_op<std::int64_t, product>> writes;
            for (std::int64_t i = 1; i <= 100; ++i) {
                writes.push_back({.key = upwards ? i : 101 - i, .value = product{"x", round}});
            }
            static_cast<void>(source.store(std::move(writes)));
        }
    };
    std::thread other(write, false);
    EXPECT_NO_THROW(write(true));
    other.join();
}

TEST_F(PostgresTable, is_the_source_of_a_cache) {
    auto source = std::make_shared<table_source<std::int64_t, product>>(
        db_, table_options{.table = "products", .key_columns = {"id"}, .value_columns = {"name", "price"}});
    levee::write_through<std::int64_t, product> cache(source,
                                                      {.local = {.max_entries = 100},
                                                       .executor = runtime_.get_executor(),
                                                       .blocking_executor = runtime_.blocking_executor()});
    EXPECT_EQ(cache.get(5), (product{"product 5", 50}));
    cache.put(5, product{"dearer", 60});
    EXPECT_EQ(cache.get(5), (product{"dearer", 60}));
    EXPECT_EQ(server_->execute("SELECT price FROM products WHERE id = 5"), "60");
    EXPECT_EQ(cache.get(12345), std::nullopt);
}

}  // namespace
