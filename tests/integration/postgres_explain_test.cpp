#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "levee/async/runtime.hpp"
#include "levee/postgres/explain.hpp"
#include "levee/postgres/pool.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace levee::postgres;
using levee::tests::postgres_server;

class PostgresExplain : public testing::Test {
protected:
    void SetUp() override {
        if (!postgres_server::is_installed()) {
            GTEST_SKIP() << postgres_server::why_skipped;
        }
        server_ = std::make_unique<postgres_server>();
        server_->execute(
            "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, state text NOT NULL);"
            "INSERT INTO orders SELECT i, i % 1000, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END "
            "FROM generate_series(1, 20000) AS i;"
            "CREATE TABLE states (state text PRIMARY KEY); INSERT INTO states VALUES ('open'), ('done');"
            "ANALYZE");
        db_ = std::make_shared<pool>(
            pool_options{.connection = {.uri = server_->uri(), .executor = runtime_.get_executor()}});
    }

    std::unique_ptr<postgres_server> server_;
    levee::runtime runtime_{1};
    std::shared_ptr<pool> db_;
};

TEST_F(PostgresExplain, tells_a_sequential_scan_over_a_big_table_from_an_index_scan) {
    const statement question("SELECT * FROM orders WHERE customer = $1 AND state <> $2", 42, "o'pen");
    const query_plan before = explain(*db_, question);
    EXPECT_TRUE(before.has_big_sequential_scan()) << before.summary;
    ASSERT_EQ(before.scans.size(), 1U);
    EXPECT_EQ(before.scans[0].table, "orders");
    EXPECT_EQ(before.scans[0].schema, "public");
    EXPECT_TRUE(before.scans[0].is_sequential());
    EXPECT_EQ(before.scans[0].table_rows, 20'000U);
    EXPECT_NE(before.scans[0].filter.find("customer = 42"), std::string::npos) << before.summary;
    EXPECT_GT(before.cost, 100);

    server_->execute("CREATE INDEX orders_customer ON orders (customer)");
    const query_plan after = explain(*db_, question);
    EXPECT_FALSE(after.has_big_sequential_scan()) << after.summary;
    EXPECT_TRUE(after.uses_index("orders_customer")) << after.summary;
    EXPECT_FALSE(after.uses_index("orders_custome"));
    EXPECT_LT(after.cost, before.cost);
    EXPECT_TRUE(after.text.find("orders_customer") != std::string::npos);
}

TEST_F(PostgresExplain, calls_a_small_table_small) {
    const query_plan plan = explain(*db_, statement("SELECT * FROM states WHERE state = 'open'"));
    EXPECT_FALSE(plan.has_big_sequential_scan()) << plan.summary;
    const query_plan strict =
        explain(*db_, statement("SELECT * FROM states WHERE state = 'open'"), {.big_table = 1});
    EXPECT_EQ(strict.has_big_sequential_scan(), strict.scans[0].is_sequential());
}

TEST_F(PostgresExplain, finds_every_scan_of_a_join_and_of_what_is_below_it) {
    const query_plan plan = explain(
        *db_,
        statement(
            "SELECT count(*) FROM orders JOIN states USING (state) WHERE EXISTS "
            "(SELECT 1 FROM orders AS other WHERE other.id = orders.id + 1) AND orders.state = 'open'"));
    EXPECT_EQ(plan.scans.size(), 3U) << plan.summary;
    EXPECT_TRUE(plan.has_big_sequential_scan());
}

TEST_F(PostgresExplain, knows_the_cost_of_what_reads_no_table_and_takes_no_write_for_a_read) {
    const query_plan plan = explain(*db_, statement("SELECT sum(i) FROM generate_series(1, 1000000) AS i"));
    EXPECT_TRUE(plan.scans.empty()) << plan.summary;
    EXPECT_TRUE(plan.summary.empty());
    EXPECT_GT(plan.cost, 100);
    const query_plan write = explain(*db_, statement("DELETE FROM orders WHERE state = 'open'"));
    ASSERT_EQ(write.scans.size(), 1U) << write.summary;
    EXPECT_TRUE(write.has_big_sequential_scan());
    EXPECT_TRUE(explain(*db_, statement("INSERT INTO states VALUES ('new')")).scans.empty());
}

TEST_F(PostgresExplain, executes_nothing_unless_it_is_told_to) {
    static_cast<void>(explain(*db_, statement("DELETE FROM states")));
    EXPECT_EQ(server_->execute("SELECT count(*) FROM states"), "2");
    db_->with_connection([&](connection& on) {
        on.execute("BEGIN");
        const query_plan plan = explain(on, statement("DELETE FROM states"), {.analyze = true});
        EXPECT_NE(plan.text.find("Actual Rows"), std::string::npos);
        on.execute("ROLLBACK");
    });
    EXPECT_EQ(server_->execute("SELECT count(*) FROM states"), "2");
}

}  // namespace
