// The program examples/11_orders against PostgreSQL: it fails by itself if an index that it tells of is not
// used.
#ifdef LEVEE_EXAMPLE_ORDERS  // where the examples are built
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>

#include "support/child_process.hpp"
#include "support/postgres_server.hpp"

namespace {

using levee::tests::postgres_server;

TEST(OrdersExample, shows_in_PostgreSQL_what_it_says) {
    if (!postgres_server::is_installed()) {
        GTEST_SKIP() << postgres_server::why_skipped;
    }
    const postgres_server server;
    const std::string log = server.folder() + "/orders";
    int status = -1;
    ::waitpid(
        levee::tests::spawn({LEVEE_EXAMPLE_ORDERS, "--postgres", server.uri(), "--orders", "5000"}, log),
        &status, 0);
    const std::string said = levee::tests::text_of(log);
    EXPECT_EQ(status, 0) << said;
    for (const char* part :
         {"Seq Scan on orders", "Seq Scan on order_lines", "using lines_order", "using orders_customer_day",
          "using orders_open", "Index Only Scan using lines_item", "move stock, 2 threads"}) {
        EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
    }
    EXPECT_EQ(server.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'levee_orders'"), "0")
        << "cleaned up";
}

}  // namespace
#endif
