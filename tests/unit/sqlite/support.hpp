/// What the tests of the SQLite adapter share: a foreign connection, hooks into new connections, short forms.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/sqlite/table_source.hpp"

namespace levee::tests {

/// Another program's connection to a file, which it creates.
class raw_database {
public:
    explicit raw_database(const std::string& path) {
        sqlite3* opened = nullptr;
        const int result = sqlite3_open(path.c_str(), &opened);
        handle_.reset(opened);
        check(result);
        sqlite3_busy_timeout(opened, 5000);
    }

    void run(const std::string& sql) {
        check(sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr));
    }

    /// The first column of the first row as text; "none" without a row.
    [[nodiscard]] std::string text(const std::string& sql) {
        sqlite3_stmt* prepared = nullptr;
        check(sqlite3_prepare_v2(handle_.get(), sql.c_str(), -1, &prepared, nullptr));
        const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared, &sqlite3_finalize);
        if (sqlite3_step(prepared) != SQLITE_ROW) {
            return "none";
        }
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0));
        return text ? text : "NULL";
    }

private:
    void check(int result) {
        if (result != SQLITE_OK) {
            throw std::runtime_error(sqlite3_errmsg(handle_.get()));
        }
    }

    struct close {
        void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
    };
    std::unique_ptr<sqlite3, close> handle_;
};

/// Calls `hook` for every connection that this process opens, as long as it lives.
class opening_hook {
public:
    using function = int (*)(sqlite3*, char**, const sqlite3_api_routines*);

    explicit opening_hook(function hook) { sqlite3_auto_extension(reinterpret_cast<void (*)()>(hook)); }
    ~opening_hook() { sqlite3_reset_auto_extension(); }
    opening_hook(const opening_hook&) = delete;
    opening_hook& operator=(const opening_hook&) = delete;
};

template <class K, class V>
std::vector<loaded<V>> load(source<K, V>& from, const std::vector<K>& keys) {
    std::vector<load_request<K, V>> requests;
    for (const K& key : keys) {
        requests.push_back({.key = key});
    }
    return from.load(std::move(requests));
}

/// The value; empty: not found. Throws what the load failed with.
template <class K, class V>
std::optional<V> get(source<K, V>& from, const std::type_identity_t<K>& key) {
    std::vector<loaded<V>> found = load(from, std::vector<K>{key});
    if (found.at(0).error) {
        std::rethrow_exception(found[0].error);
    }
    return std::move(found[0].value);
}

template <class K, class V>
void put(source<K, V>& to, std::type_identity_t<K> key, std::type_identity_t<V> value) {
    std::vector<write_op<K, V>> operations;
    operations.push_back({.key = std::move(key), .value = std::move(value)});
    (void)to.store(std::move(operations));
}

/// The levee::error that `f` throws; a failure of the test when it throws none.
template <class F>
levee::error error_of(F&& f) {
    try {
        f();
    } catch (const levee::error& thrown) {
        return thrown;
    }
    ADD_FAILURE() << "no levee::error was thrown";
    return levee::error(std::error_code{}, "nothing");
}

inline ::testing::AssertionResult says(const std::exception& thrown,
                                       std::initializer_list<std::string_view> parts) {
    const std::string_view what = thrown.what();
    for (const std::string_view part : parts) {
        if (what.find(part) == std::string_view::npos) {
            return ::testing::AssertionFailure() << "\"" << what << "\" does not say \"" << part << "\"";
        }
    }
    return ::testing::AssertionSuccess();
}

}  // namespace levee::tests
