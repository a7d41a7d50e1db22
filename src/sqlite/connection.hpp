/// One connection to an SQLite file, its prepared statements, and transactions on it.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "levee/sqlite/detail/cell.hpp"
#include "levee/sqlite/table_options.hpp"
#include "sqlite/queries.hpp"

namespace levee::sqlite::detail {

struct close_database {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
};
struct finalize_statement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using database_handle = std::unique_ptr<sqlite3, close_database>;
using statement_handle = std::unique_ptr<sqlite3_stmt, finalize_statement>;

enum class access : std::uint8_t { reading, writing };

/// Thread safety: one thread at a time, any thread. Errors: levee::error, by `classify`.
class connection {
public:
    /// Opens the file and reads its header. `options` outlives the connection.
    connection(const table_options& options, access mode);

    /// Throws the error for `result`, saying what could not be done: "cannot <doing> table ...".
    [[noreturn]] void fail(const char* doing, int result);
    [[noreturn]] void fail(const char* doing, int result, std::error_code code);

    /// Prepares `what` unless it is; the result code, without throwing.
    [[nodiscard]] int prepare(const query& what);

    /// The statement for `what`, prepared at its first use.
    [[nodiscard]] sqlite3_stmt* prepared(const query& what, const char* doing);

    /// False: throw it away. It failed in a way that may last, or is stuck in a transaction.
    [[nodiscard]] bool is_usable() const noexcept {
        return !broken_ && sqlite3_get_autocommit(database_.get()) != 0;
    }

    [[nodiscard]] sqlite3* handle() const noexcept { return database_.get(); }

private:
    void open(access mode, bool immutable);
    void set_up(access mode);

    const table_options& options_;
    database_handle database_;
    std::vector<statement_handle> statements_;  // by query::slot; before the database in destruction
    bool broken_ = false;
};

/// A prepared statement being run: reset, and its parameters cleared, by the destructor.
class running {
public:
    running(connection& on, const query& what, const char* doing)
        : on_(on), doing_(doing), statement_(on.prepared(what, doing)) {}
    ~running() {
        reset();
        sqlite3_clear_bindings(statement_);
    }
    running(const running&) = delete;
    running& operator=(const running&) = delete;

    /// Binds parameter `number`, from 1. Not copied: `value` outlives the run.
    void bind(int number, const cell& value);

    /// Goes to the next row; false: there is none.
    [[nodiscard]] bool step();

    /// Steps a statement that returns no row, and makes it ready to run again.
    void execute();

    [[nodiscard]] std::int64_t integer(int column) const noexcept {
        return sqlite3_column_int64(statement_, column);
    }
    [[nodiscard]] cell value(int column);

private:
    void reset() noexcept { sqlite3_reset(statement_); }  // repeats the error that step() has thrown

    connection& on_;
    const char* const doing_;
    sqlite3_stmt* const statement_;
};

/// A transaction: rolled back by the destructor unless committed.
class transaction {
public:
    transaction(connection& on, const query_set& queries, const query& begin, const char* doing)
        : on_(on), queries_(queries), doing_(doing) {
        running(on_, begin, doing_).execute();
    }
    ~transaction() {
        if (sqlite3_get_autocommit(on_.handle()) == 0) {  // some errors have rolled back already
            sqlite3_exec(on_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
        }
    }
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    void commit() { running(on_, queries_.commit, doing_).execute(); }

private:
    connection& on_;
    const query_set& queries_;
    const char* const doing_;
};

}  // namespace levee::sqlite::detail
