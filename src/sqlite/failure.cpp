#include "sqlite/failure.hpp"

#include <sqlite3.h>

#include "levee/core/error.hpp"
#include "levee/sqlite/error.hpp"

namespace levee::sqlite {
namespace {

/// An extended code has its primary code in the low byte.
int primary(int code) noexcept {
    return code & 0xff;
}

struct sqlite_category final : std::error_category {
    [[nodiscard]] const char* name() const noexcept override { return "sqlite"; }

    [[nodiscard]] std::string message(int code) const override { return sqlite3_errstr(code); }

    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (primary(code)) {
            case SQLITE_FULL:
                return std::errc::no_space_on_device;
            case SQLITE_IOERR:
                return std::errc::io_error;
            case SQLITE_NOMEM:
                return std::errc::not_enough_memory;
            case SQLITE_TOOBIG:
                return std::errc::value_too_large;
            default:
                return {code, *this};
        }
    }
};

}  // namespace

const std::error_category& error_category() noexcept {
    // Leaked on purpose: destructors of user globals may still compare codes after main.
    static const std::error_category& instance = *new sqlite_category;
    return instance;
}

namespace detail {

std::error_code classify(int result) noexcept {
    switch (result) {
        case SQLITE_READONLY_RECOVERY:  // these are met by reads too: the file needs a writer's repair first
        case SQLITE_READONLY_CANTLOCK:
        case SQLITE_READONLY_ROLLBACK:
        case SQLITE_READONLY_CANTINIT:
        case SQLITE_READONLY_DBMOVED:
            return errc::unavailable;
        default:
            break;
    }
    switch (primary(result)) {
        case SQLITE_ERROR:  // no such table, no such column: the SQL itself is ours
        case SQLITE_SCHEMA:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_AUTH:
            return errc::unavailable;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
        case SQLITE_MISMATCH:
            return errc::invalid_data;
        case SQLITE_READONLY:
            return errc::read_only;
        default:
            return {result, error_category()};
    }
}

bool is_harmless(int result) noexcept {
    switch (primary(result)) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
        case SQLITE_FULL:
            return true;
        case SQLITE_READONLY:
            return result == SQLITE_READONLY;
        default:
            return false;
    }
}

std::string place(const std::string& path, const std::string& table) {
    return "table \"" + table + "\" of \"" + path + "\"";
}

}  // namespace detail
}  // namespace levee::sqlite
