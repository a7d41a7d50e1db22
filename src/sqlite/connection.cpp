#include "sqlite/connection.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <system_error>

#include "levee/core/error.hpp"
#include "sqlite/failure.hpp"
#include "sqlite/file.hpp"

namespace levee::sqlite::detail {
namespace {

constexpr const char* opening = "open";

/// Whole milliseconds, rounded up, as sqlite3_busy_timeout takes them.
int milliseconds(duration wait) noexcept {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    return static_cast<int>(std::min<std::int64_t>(whole, std::numeric_limits<int>::max()));
}

std::string text_of(sqlite3_stmt* statement, int column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
    return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)))
                : std::string();
}

int read_header(sqlite3* database) {
    return sqlite3_exec(database, "PRAGMA schema_version", nullptr, nullptr, nullptr);
}

/// What a write-ahead-logged file answers in a folder where the log's index cannot be made.
bool is_for_want_of_a_log(int result) noexcept {
    const int primary = result & 0xff;
    return primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY;
}

}  // namespace

connection::connection(const table_options& options, access mode) : options_(options) {
    const bool creates = mode == access::writing && options.create_if_missing;
    check_file(options.path, creates, place(options.path, options.table));
    open(mode, false);
    if (const int result = read_header(database_.get()); result != SQLITE_OK) {
        if (!is_for_want_of_a_log(result) || !is_frozen(options.path)) {
            fail(opening, result);
        }
        open(mode, true);
        if (const int again = read_header(database_.get()); again != SQLITE_OK) {
            fail(opening, again);
        }
    }
    set_up(mode);
}

void connection::open(access mode, bool immutable) {
    // One thread at a time uses a connection, so SQLite's own mutexes are left out. Readers of a writable
    // file may write too, but for `query_only`: repairing it after a crash of another process needs that.
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    flags |= options_.read_only || immutable ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (mode == access::writing && options_.create_if_missing && !immutable) {
        flags |= SQLITE_OPEN_CREATE;
    }
    if (immutable) {
        flags |= SQLITE_OPEN_URI;
    }
    const std::string name = immutable ? immutable_uri(options_.path) : plain_name(options_.path);
    sqlite3* opened = nullptr;
    const int result = sqlite3_open_v2(name.c_str(), &opened, flags, nullptr);
    database_.reset(opened);  // also after an error
    if (result != SQLITE_OK) {
        fail(opening, result);
    }
    sqlite3_busy_timeout(opened, milliseconds(options_.busy_timeout));
}

void connection::set_up(access mode) {
    sqlite3* const database = database_.get();
    const auto set = [&](const char* pragma) {
        if (const int result = sqlite3_exec(database, pragma, nullptr, nullptr, nullptr);
            result != SQLITE_OK) {
            fail(opening, result);
        }
    };
    if (mode == access::reading) {
        set("PRAGMA query_only = ON");
        return;
    }
    bool logs_ahead = false;
    if (options_.write_ahead_log) {
        sqlite3_stmt* prepared_pragma = nullptr;
        sqlite3_prepare_v2(database, "PRAGMA journal_mode = WAL", -1, &prepared_pragma, nullptr);
        const statement_handle pragma(prepared_pragma);
        // Refusals are not errors: the file then keeps the mode it has.
        logs_ahead = sqlite3_step(prepared_pragma) == SQLITE_ROW && text_of(prepared_pragma, 0) == "wal";
    }
    // In a rollback mode, NORMAL can corrupt the file when power is lost.
    set(logs_ahead && !options_.sync_every_commit ? "PRAGMA synchronous = NORMAL"
                                                  : "PRAGMA synchronous = FULL");
}

void connection::fail(const char* doing, int result) {
    fail(doing, result, classify(result));
}

void connection::fail(const char* doing, int result, std::error_code code) {
    broken_ = broken_ || !is_harmless(result);
    sqlite3* const database = database_.get();
    std::string message = database ? sqlite3_errmsg(database) : sqlite3_errstr(result);
    const int primary = result & 0xff;
    if (database && (primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR)) {
        if (const int cause = sqlite3_system_errno(database); cause != 0) {
            message += ", " + std::generic_category().message(cause);
        }
    }
    throw error(code, "cannot " + std::string(doing) + " " + place(options_.path, options_.table) + ": " +
                          message + " (SQLite code " + std::to_string(result) + ")");
}

int connection::prepare(const query& what) {
    if (statements_.size() <= what.slot) {
        statements_.resize(what.slot + 1);
    }
    statement_handle& statement = statements_[what.slot];
    if (statement) {
        return SQLITE_OK;
    }
    sqlite3_stmt* made = nullptr;
    const int result =
        sqlite3_prepare_v3(database_.get(), what.text.data(), static_cast<int>(what.text.size()),
                           SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    statement.reset(made);
    return result;
}

sqlite3_stmt* connection::prepared(const query& what, const char* doing) {
    if (const int result = prepare(what); result != SQLITE_OK) {
        fail(doing, result);
    }
    return statements_[what.slot].get();
}

void running::bind(int number, const cell& value) {
    int result = SQLITE_OK;
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        result = sqlite3_bind_int64(statement_, number, *integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
        result = sqlite3_bind_double(statement_, number, *real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        result =
            sqlite3_bind_text64(statement_, number, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<bytes>(&value)) {
        // An empty vector may have no storage, and a null pointer would bind NULL.
        result = blob->empty()
                     ? sqlite3_bind_zeroblob(statement_, number, 0)
                     : sqlite3_bind_blob64(statement_, number, blob->data(), blob->size(), SQLITE_STATIC);
    } else {
        result = sqlite3_bind_null(statement_, number);
    }
    if (result != SQLITE_OK) {
        on_.fail(doing_, result);
    }
}

bool running::step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        on_.fail(doing_, result);
    }
    return result == SQLITE_ROW;
}

void running::execute() {
    while (step()) {
    }
    reset();
}

cell running::value(int column) {
    switch (sqlite3_column_type(statement_, column)) {
        case SQLITE_INTEGER:
            return integer(column);
        case SQLITE_FLOAT:
            return sqlite3_column_double(statement_, column);
        case SQLITE_TEXT: {
            const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
            if (!text) {  // only when a conversion from UTF-16 found no memory
                on_.fail(doing_, SQLITE_NOMEM);
            }
            return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
        }
        case SQLITE_BLOB: {
            const auto* blob = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
            if (!blob && size != 0) {
                on_.fail(doing_, SQLITE_NOMEM);
            }
            return blob ? bytes(blob, blob + size) : bytes();
        }
        default:
            return std::monostate{};
    }
}

}  // namespace levee::sqlite::detail
