#include "levee/postgres/explain.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace levee::postgres {
namespace {

/// The server takes its own plan apart: $1 is the JSON. Index scans below a bitmap scan belong to it. What
/// writes a table names it, and reads nothing there. A plan that reads no table is one row of NULLs, with its
/// cost.
constexpr std::string_view scans_query = R"(
WITH nodes AS (
    SELECT n, o FROM jsonb_path_query($1::jsonb, 'strict $.** ? (@."Relation Name" != "" && @."Node Type" != "ModifyTable")') WITH ORDINALITY AS q(n, o))
SELECT n->>'Node Type', coalesce(n->>'Schema', ''), n->>'Relation Name',
       coalesce(n->>'Index Name', (SELECT string_agg(i #>> '{}', ',') FROM
           jsonb_path_query(n->'Plans', 'strict $.** ? (@."Node Type" == "Bitmap Index Scan")."Index Name"') AS i), ''),
       coalesce(n->>'Index Cond', n->>'Recheck Cond', ''), coalesce(n->>'Filter', ''),
       greatest(c.reltuples, (n->>'Plan Rows')::float8, 0)::int8, (n->>'Plan Rows')::float8::int8,
       ($1::jsonb #>> '{0,Plan,Total Cost}')::float8
FROM (VALUES (1)) AS plan LEFT JOIN nodes ON true
LEFT JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(n->>'Schema') || '.' || quote_ident(n->>'Relation Name'))
ORDER BY o)";

std::string line_of(const table_scan& scan) {
    std::string text = scan.node;
    text += scan.index.empty() ? "" : " using " + scan.index;
    text += " on " + scan.table;
    text += scan.condition.empty() ? "" : " " + scan.condition;
    text += scan.filter.empty() ? "" : " filter " + scan.filter;
    return text + " (" + std::to_string(scan.rows) + " of " + std::to_string(scan.table_rows) + " rows)";
}

template <class Database>
query_plan explain_on(Database& db, statement what, const explain_options& options) {
    what.sql =
        std::string("EXPLAIN (FORMAT JSON, VERBOSE") + (options.analyze ? ", ANALYZE" : "") + ") " + what.sql;
    const duration timeout = what.timeout;
    query_plan plan;
    plan.big_table = options.big_table;
    plan.text = db.query(std::move(what)).template value<std::string>();
    statement question(scans_query, plan.text);
    question.timeout = timeout;
    const result found = db.query(std::move(question));
    for (const row& each : found) {
        plan.cost = each.get<double>(8);
        if (each[0].is_null()) {
            break;
        }
        table_scan scan{.node = each.get<std::string>(0),
                        .schema = each.get<std::string>(1),
                        .table = each.get<std::string>(2),
                        .index = each.get<std::string>(3),
                        .condition = each.get<std::string>(4),
                        .filter = each.get<std::string>(5),
                        .table_rows = each.get<std::uint64_t>(6),
                        .rows = each.get<std::uint64_t>(7)};
        plan.summary += (plan.summary.empty() ? "" : "\n") + line_of(scan);
        plan.scans.push_back(std::move(scan));
    }
    return plan;
}

}  // namespace

bool query_plan::has_big_sequential_scan() const noexcept {
    return std::any_of(scans.begin(), scans.end(), [this](const table_scan& each) {
        return each.is_sequential() && each.table_rows >= big_table;
    });
}

bool query_plan::uses_index(std::string_view name) const noexcept {
    return std::any_of(scans.begin(), scans.end(), [name](const table_scan& each) {
        const std::string_view all = each.index;
        for (std::size_t at = 0; at < all.size();) {
            const std::size_t end = std::min(all.find(',', at), all.size());
            if (all.substr(at, end - at) == name) {
                return true;
            }
            at = end + 1;
        }
        return false;
    });
}

query_plan explain(pool& db, statement what, const explain_options& options) {
    return explain_on(db, std::move(what), options);
}

query_plan explain(connection& db, statement what, const explain_options& options) {
    return explain_on(db, std::move(what), options);
}

}  // namespace levee::postgres
