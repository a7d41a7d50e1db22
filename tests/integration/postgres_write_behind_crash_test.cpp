// Death by kill -9 over PostgreSQL.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"
#include "support/child_process.hpp"
#include "support/postgres_server.hpp"
#include "support/temp_dir.hpp"
#include "support/write_behind_crash.hpp"

namespace levee::tests {
namespace {

make_source table_of(const postgres_server& server) {
    return [uri = server.uri()](runtime& on) -> std::shared_ptr<numbers> {
        postgres::pool_options options{.connection = {.uri = uri,
                                                      .executor = on.get_executor(),
                                                      .blocking_executor = on.blocking_executor()}};
        return std::make_shared<postgres::table_source<int, number>>(
            std::make_shared<postgres::pool>(std::move(options)),
            postgres::table_options{.table = "numbers"});
    };
}

void kill_over_postgresql(int times) {
    if (!postgres_server::is_installed()) {
        GTEST_SKIP() << postgres_server::why_skipped;
    }
    const temp_dir dir;
    const postgres_server server;
    static_cast<void>(server.execute("CREATE TABLE numbers (key int PRIMARY KEY, value bigint NOT NULL)"));
    // The server goes on with a statement whose client has died: see write_behind.hpp, Order.
    const auto settle = [&server] {
        const std::string left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'levee'";
        ASSERT_TRUE(poll_until([&] { return server.execute(left) == "0"; }, std::chrono::seconds(30)));
    };
    kill_again_and_again(table_of(server), dir / "journal", times, settle);
}

TEST(write_behind_crash, kill_9_over_postgresql_loses_nothing_that_was_acknowledged) {
    kill_over_postgresql(40);
}

TEST(write_behind_crash, long_kill_9_over_postgresql_a_thousand_times) {
    kill_over_postgresql(1000);
}

}  // namespace
}  // namespace levee::tests
