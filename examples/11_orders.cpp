/// Orders of a shop in SQL: which index each question needs, N+1 questions and how to ask once, and a
/// transaction that moves stock; each with its percentiles.
///
///     11_orders                             in SQLite, in a temporary file
///     11_orders --postgres URI              in PostgreSQL, in a schema of its own that it drops at the end
///     11_orders --orders 200000             more of them
#include <levee/async/runtime.hpp>
#include <levee/core/random.hpp>
#include <levee/monitor/percentile_monitor.hpp>
#include <levee/postgres/explain.hpp>
#include <levee/postgres/pool.hpp>

#include <sqlite3.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace postgres = levee::postgres;

using value = std::variant<std::int64_t, std::string>;
using rows = std::vector<std::vector<std::string>>;

/// What a database says of how it will answer.
struct plan {
    std::string text;
    bool reads_whole_table;
};

/// The two databases, as this program needs them. Parameters are $1, $2, … in both.
struct database {
    virtual ~database() = default;
    virtual void script(const std::string& sql) = 0;
    virtual rows query(const std::string& sql, const std::vector<value>& values) = 0;
    virtual plan explain(const std::string& sql, const std::vector<value>& values) = 0;
    virtual rows lines_of(const std::vector<std::int64_t>& orders) = 0;  // of all of them at once
    virtual bool move_stock(std::int64_t item, std::int64_t from, std::int64_t to, std::int64_t count) = 0;
};

// README begins
/// False: there is not enough to move. Retried when another transaction was in the way.
bool move_stock(postgres::pool& db, std::int64_t item, std::int64_t from, std::int64_t to,
                std::int64_t count) {
    const auto move = [&](postgres::transaction& tx) {
        const auto left = tx.query("SELECT count FROM stock WHERE item = $1 AND warehouse = $2", item, from);
        if (left.value<std::int64_t>() < count) {
            return false;
        }
        tx.execute("UPDATE stock SET count = count - $3 WHERE item = $1 AND warehouse = $2", item, from,
                   count);
        tx.execute("UPDATE stock SET count = count + $3 WHERE item = $1 AND warehouse = $2", item, to, count);
        return true;
    };
    return db.transaction(move, {.isolation = postgres::isolation_level::serializable, .attempts = 10});
}
// README ends

class postgres_database final : public database {
public:
    postgres_database(const std::string& uri, levee::runtime& runtime) : db_(options(uri, runtime)) {
        script("DROP SCHEMA IF EXISTS levee_orders CASCADE; CREATE SCHEMA levee_orders");
    }
    ~postgres_database() override {
        try {
            script("DROP SCHEMA levee_orders CASCADE");
        } catch (const std::exception& e) {
            std::cerr << "the schema levee_orders stays: " << e.what() << '\n';
        }
    }

    void script(const std::string& sql) override {
        db_.with_connection([&](postgres::connection& on) { on.run_script(sql, std::chrono::minutes(5)); });
    }
    rows query(const std::string& sql, const std::vector<value>& values) override {
        return text_of(db_.query(made(sql, values)));
    }
    plan explain(const std::string& sql, const std::vector<value>& values) override {
        const postgres::query_plan found = postgres::explain(db_, made(sql, values), {.big_table = 1000});
        return {found.summary, found.has_big_sequential_scan()};
    }
    rows lines_of(const std::vector<std::int64_t>& orders) override {
        return text_of(
            db_.query("SELECT order_id, item, quantity FROM order_lines WHERE order_id = ANY($1)", orders));
    }
    bool move_stock(std::int64_t item, std::int64_t from, std::int64_t to, std::int64_t count) override {
        return ::move_stock(db_, item, from, to, count);
    }

private:
    static postgres::pool_options options(const std::string& uri, levee::runtime& runtime) {
        postgres::pool_options made;
        made.connection.uri = uri;
        made.connection.executor = runtime.get_executor();
        made.connection.blocking_executor = runtime.blocking_executor();
        made.connection.settings = {{"search_path", "levee_orders"}};
        return made;
    }
    static postgres::statement made(const std::string& sql, const std::vector<value>& values) {
        postgres::statement result(sql, postgres::parameters());
        for (const value& each : values) {
            std::visit([&](const auto& one) { result.values.add(one); }, each);
        }
        return result;
    }
    static rows text_of(const postgres::result& found) {
        rows all;
        for (const postgres::row& each : found) {
            std::vector<std::string>& texts = all.emplace_back();
            for (std::size_t i = 0; i < each.size(); ++i) {
                texts.push_back(each.get<std::string>(i));
            }
        }
        return all;
    }

    postgres::pool db_;
};

class sqlite_database final : public database {
public:
    sqlite_database()
        : file_((std::filesystem::temp_directory_path() /
                 ("levee_orders_" + std::to_string(::getpid()) + ".db"))
                    .string()) {
        std::filesystem::remove(file_);
        check(sqlite3_open(file_.c_str(), &db_));
        script("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000");
    }
    ~sqlite_database() override {
        sqlite3_close(db_);
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(file_ + suffix);
        }
    }

    void script(const std::string& sql) override {
        check(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr));
    }
    rows query(const std::string& sql, const std::vector<value>& values) override {
        sqlite3_stmt* raw = nullptr;
        check(sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr));
        const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const int at = sqlite3_bind_parameter_index(raw, ("$" + std::to_string(i + 1)).c_str());
            if (const auto* number = std::get_if<std::int64_t>(&values[i])) {
                check(sqlite3_bind_int64(raw, at, *number));
            } else {
                const auto& text = std::get<std::string>(values[i]);
                check(
                    sqlite3_bind_text(raw, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
            }
        }
        rows all;
        int state = SQLITE_ROW;
        while ((state = sqlite3_step(raw)) == SQLITE_ROW) {
            std::vector<std::string>& texts = all.emplace_back();
            for (int i = 0; i < sqlite3_column_count(raw); ++i) {
                const unsigned char* const text = sqlite3_column_text(raw, i);
                texts.emplace_back(text == nullptr ? "" : reinterpret_cast<const char*>(text));
            }
        }
        check(state);
        return all;
    }
    plan explain(const std::string& sql, const std::vector<value>& values) override {
        plan result{"", false};
        for (const std::vector<std::string>& each : query("EXPLAIN QUERY PLAN " + sql, values)) {
            const std::string& step = each.back();
            result.text += (result.text.empty() ? "" : "\n") + step;
            result.reads_whole_table |= step.starts_with("SCAN") && step.find("INDEX") == std::string::npos;
        }
        return result;
    }
    rows lines_of(const std::vector<std::int64_t>& orders) override {
        std::string list;
        for (const std::int64_t each : orders) {
            list += (list.empty() ? "[" : ",") + std::to_string(each);
        }
        return query(
            "SELECT order_id, item, quantity FROM order_lines WHERE order_id IN (SELECT value FROM "
            "json_each($1))",
            {list + "]"});
    }
    bool move_stock(std::int64_t item, std::int64_t from, std::int64_t to, std::int64_t count) override {
        const std::lock_guard lock(mutex_);  // one connection, one transaction at a time
        script("BEGIN IMMEDIATE");
        const bool is_enough = std::stoll(query("SELECT count FROM stock WHERE item = $1 AND warehouse = $2",
                                                {item, from})[0][0]) >= count;
        if (is_enough) {
            query("UPDATE stock SET count = count - $3 WHERE item = $1 AND warehouse = $2",
                  {item, from, count});
            query("UPDATE stock SET count = count + $3 WHERE item = $1 AND warehouse = $2",
                  {item, to, count});
        }
        script("COMMIT");
        return is_enough;
    }

private:
    void check(int state) const {
        if (state != SQLITE_OK && state != SQLITE_ROW && state != SQLITE_DONE) {
            throw std::runtime_error(sqlite3_errmsg(db_));
        }
    }

    std::string file_;
    sqlite3* db_ = nullptr;
    std::mutex mutex_{};
};

/// A question, the index that it needs, and what kind of index that is.
struct lesson {
    const char* name;
    const char* why;
    std::string index;
    std::string question;
    std::vector<value> values;
    bool has_index_already = false;  // an earlier lesson's will do
};

std::vector<lesson> lessons(bool is_postgres) {
    return {{"foreign key",
             "the database makes no index for a reference: lines of an order, and deleting an order",
             "CREATE INDEX lines_order ON order_lines (order_id)",
             "SELECT item, quantity FROM order_lines WHERE order_id = $1",
             {std::int64_t{77}}},
            {"partial",
             "the few rows that are asked for, out of many: open orders",
             "CREATE INDEX orders_open ON orders (day) WHERE state = 'open'",
             "SELECT id FROM orders WHERE state = 'open' AND day = $1",
             {std::int64_t{100}}},
            {"composite",
             "equality first, then the range: a customer's orders since a day, in their order",
             "CREATE INDEX orders_customer_day ON orders (customer, day)",
             "SELECT id, total FROM orders WHERE customer = $1 AND day >= $2 ORDER BY day",
             {std::int64_t{42}, std::int64_t{300}}},
            {"leftmost prefix",
             "the same index answers for the customer alone; it would not for the day alone",
             "",
             "SELECT id, total FROM orders WHERE customer = $1",
             {std::int64_t{42}},
             true},
            {"covering",
             "all that is asked for is in the index, and the table is not read: how many were sold",
             is_postgres ? "CREATE INDEX lines_item ON order_lines (item) INCLUDE (quantity)"
                         : "CREATE INDEX lines_item ON order_lines (item, quantity)",
             "SELECT sum(quantity) FROM order_lines WHERE item = $1",
             {std::int64_t{7}}}};
}

void fill(database& db, bool is_postgres, std::int64_t orders) {
    db.script(
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, day int NOT NULL, state text "
        "NOT NULL, "
        "total bigint NOT NULL);"
        "CREATE TABLE order_lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, "
        "item bigint NOT NULL, quantity int NOT NULL);"
        "CREATE TABLE stock (item bigint, warehouse bigint, count bigint NOT NULL CHECK (count >= 0), "
        "PRIMARY KEY (item, warehouse))");
    const auto numbers = [&](std::int64_t from, std::int64_t to) {
        return is_postgres
                   ? "generate_series(" + std::to_string(from) + ", " + std::to_string(to) + ") AS n(i)"
                   : "(WITH RECURSIVE n(i) AS (SELECT " + std::to_string(from) +
                         " UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(to) +
                         ") SELECT i FROM n) AS n";
    };
    db.script(
        "INSERT INTO orders SELECT i, (i * 7919) % 1000, i % 365, CASE WHEN i % 100 = 0 THEN 'open' ELSE "
        "'done' END, "
        "i % 500 FROM " +
        numbers(1, orders) +
        ";"
        "INSERT INTO order_lines SELECT o.i * 3 + n.i, o.i, (o.i * 31 + n.i) % 500, 1 + o.i % 5 FROM " +
        (is_postgres ? "generate_series(1, " + std::to_string(orders) + ") AS o(i)"
                     : "(SELECT id AS i FROM orders) AS o") +
        ", " + numbers(1, 3) +
        ";"
        "INSERT INTO stock SELECT i, 1, 1000 FROM " +
        numbers(0, 9) +
        ";"
        "INSERT INTO stock SELECT i, 2, 1000 FROM " +
        numbers(0, 9));
    // For the planner; in PostgreSQL a covering index also wants to know which pages everybody may see.
    db.script("ANALYZE");
    if (is_postgres) {
        db.query("VACUUM order_lines", {});
    }
}

/// Prints the plan, and measures the question under `operation`.
bool show(database& db, levee::percentile_monitor& monitor, const lesson& what,
          const std::string& operation) {
    const plan found = db.explain(what.question, what.values);
    std::cout << "    " << std::left << std::setw(9) << operation << found.text << '\n';
    auto timed = monitor.operation(std::string(what.name) + ", " + operation);
    for (int i = 0; i < 50; ++i) {
        timed.measure([&] { return db.query(what.question, what.values); });
    }
    return found.reads_whole_table;
}

bool indexes(database& db, levee::percentile_monitor& monitor, bool is_postgres) {
    bool is_as_told = true;
    for (const lesson& each : lessons(is_postgres)) {
        std::cout << each.name << ": " << each.why << "\n    " << each.question << '\n';
        if (!each.has_index_already) {
            is_as_told &= show(db, monitor, each, "without");
            db.script(each.index + "; ANALYZE");
            std::cout << "    " << each.index << '\n';
        }
        is_as_told &= !show(db, monitor, each, "with");
    }
    return is_as_told;
}

/// The lines of a customer's orders: asked for order by order, by a join, and for all orders at once by their
/// keys.
bool n_plus_1(database& db, levee::percentile_monitor& monitor) {
    const auto wrong = [&] {
        rows lines;
        for (const auto& order : db.query("SELECT id FROM orders WHERE customer = $1", {std::int64_t{42}})) {
            for (auto& line : db.query("SELECT order_id, item, quantity FROM order_lines WHERE order_id = $1",
                                       {std::int64_t{std::stoll(order[0])}})) {
                lines.push_back(std::move(line));
            }
        }
        return lines;
    };
    const auto joined = [&] {
        return db.query(
            "SELECT l.order_id, l.item, l.quantity FROM orders AS o JOIN order_lines AS l ON l.order_id = "
            "o.id "
            "WHERE o.customer = $1",
            {std::int64_t{42}});
    };
    const auto batched = [&] {  // as a batch loader or a cache's source does
        std::vector<std::int64_t> keys;
        for (const auto& order : db.query("SELECT id FROM orders WHERE customer = $1", {std::int64_t{42}})) {
            keys.push_back(std::stoll(order[0]));
        }
        return db.lines_of(keys);
    };
    std::size_t lines[3]{};
    for (int i = 0; i < 20; ++i) {
        lines[0] = monitor.measure("lines of a customer, N + 1 questions", wrong).size();
        lines[1] = monitor.measure("lines of a customer, join", joined).size();
        lines[2] = monitor.measure("lines of a customer, two questions", batched).size();
    }
    std::cout << "N + 1: " << lines[0] << " lines, whichever way they are asked for\n";
    return lines[0] > 0 && lines[0] == lines[1] && lines[0] == lines[2];
}

/// Two threads move stock back and forth: nothing is lost, nothing is made.
bool transactions(database& db, levee::percentile_monitor& monitor) {
    auto timed = monitor.operation("move stock, 2 threads");
    const auto move = [&](std::uint64_t seed) {
        levee::splitmix64 random(seed);
        for (int i = 0; i < 50; ++i) {
            const auto item = static_cast<std::int64_t>(random() % 10);
            const std::int64_t from = 1 + static_cast<std::int64_t>(random() % 2);
            timed.measure([&] {
                return db.move_stock(item, from, 3 - from, 1 + static_cast<std::int64_t>(random() % 50));
            });
        }
    };
    std::thread other(move, 1);
    move(2);
    other.join();
    const std::string sum = db.query("SELECT sum(count) FROM stock", {})[0][0];
    std::cout << "after 100 movements there are " << sum << " pieces, as before\n\n";
    return sum == "20000";
}

int main(int argc, char** argv) {
    CLI::App app("Orders of a shop in SQL");
    std::string uri;
    std::int64_t orders = 20'000;
    app.add_option("--postgres", uri, "postgresql://user@host:port/database; SQLite without it");
    app.add_option("--orders", orders, "how many orders there are")->check(CLI::Range(5'000, 10'000'000));
    CLI11_PARSE(app, argc, argv);

    levee::runtime runtime{1};
    std::unique_ptr<database> db;
    if (uri.empty()) {
        std::cout << "SQLite, in a temporary file. For PostgreSQL, start one (Debian: apt-get install "
                     "postgresql-15) as a\n"
                     "user that is not root, and give it to this program:\n"
                     "    /usr/lib/postgresql/15/bin/initdb -D /tmp/orders -U levee -A trust\n"
                     "    /usr/lib/postgresql/15/bin/pg_ctl -D /tmp/orders -o '-p 5499 -k /tmp' -l "
                     "/tmp/orders.log start\n"
                     "    examples/run 11 --postgres postgresql://levee@127.0.0.1:5499/postgres\n\n";
        db = std::make_unique<sqlite_database>();
    } else {
        db = std::make_unique<postgres_database>(uri, runtime);
    }
    fill(*db, !uri.empty(), orders);

    levee::percentile_monitor monitor;
    bool is_as_told = indexes(*db, monitor, !uri.empty());
    is_as_told &= n_plus_1(*db, monitor);
    is_as_told &= transactions(*db, monitor);
    monitor.table(std::cout);
    if (!is_as_told) {
        std::cout << "\nthis is not what was told above\n";
    }
    return is_as_told ? 0 : 1;
}
