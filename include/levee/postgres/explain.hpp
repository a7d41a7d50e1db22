/// How the server would execute a statement: for tests of one's own queries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "levee/postgres/pool.hpp"
#include "levee/postgres/statement.hpp"

namespace levee::postgres {

struct explain_options {
    /// From how many rows on a table is big, for `query_plan::has_big_sequential_scan`. Default 10,000: some
    /// hundred pages, read in about a millisecond.
    std::uint64_t big_table = 10'000;

    /// Executes the statement, to measure it: what it writes stays written. The time is in `text`.
    bool analyze = false;
};

/// One place where a plan reads a table.
struct table_scan {
    std::string node{};  ///< "Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", …
    std::string schema{};
    std::string table{};
    std::string index{};  ///< Empty: none. Of a bitmap scan those of its index scans, with commas between.
    std::string condition{};       ///< What the index finds by; empty: nothing.
    std::string filter{};          ///< What is then looked at row by row; empty: nothing.
    std::uint64_t table_rows = 0;  ///< That the table has, as far as the server's statistics know.
    std::uint64_t rows = 0;        ///< That the planner expects from the scan.

    [[nodiscard]] bool is_sequential() const noexcept {
        return index.empty() && node.find("Seq Scan") != std::string::npos;
    }
};

/// What the planner chose.
struct query_plan {
    std::string text{};               ///< JSON, as EXPLAIN (FORMAT JSON, VERBOSE) prints it.
    std::string summary{};            ///< One line a scan: "Index Scan using users_pkey on users (id = 42)".
    double cost = 0;                  ///< In the planner's unit: a page read in order.
    std::vector<table_scan> scans{};  ///< In the order of the plan, from its top.
    std::uint64_t big_table = 0;      ///< `explain_options::big_table`.

    /// Whether a big table is read from its beginning to its end.
    [[nodiscard]] bool has_big_sequential_scan() const noexcept;
    /// Whether an index of this name is used.
    [[nodiscard]] bool uses_index(std::string_view name) const noexcept;
};

/// Asks the server for the plan of a statement with just these values.
///
///     const auto plan = postgres::explain(db, postgres::statement("SELECT * FROM orders WHERE customer =
///     $1", 42)); EXPECT_FALSE(plan.has_big_sequential_scan()) << plan.summary;
///
/// Plans depend on statistics: ANALYZE a table that was just filled. The statement is not executed, unless
/// `analyze` says so. Errors: as `pool::query`. Blocks: two round trips.
[[nodiscard]] query_plan explain(pool& db, statement what, const explain_options& options = {});

/// On one connection: within its transaction, with its settings.
[[nodiscard]] query_plan explain(connection& db, statement what, const explain_options& options = {});

}  // namespace levee::postgres
