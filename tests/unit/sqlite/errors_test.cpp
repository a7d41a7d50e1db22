/// Files, tables and disks that are not as they should be.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/sqlite/error.hpp"
#include "levee/sqlite/table_source.hpp"
#include "support/temp_dir.hpp"
#include "unit/sqlite/support.hpp"

namespace levee::tests {
namespace {

using sqlite::table_source;
using namespace std::string_literals;
using namespace std::chrono_literals;
using texts = table_source<std::string, std::string>;
using write = write_op<std::string, std::string>;

/// Limits the size of files that this process writes, as a full disk would.
class file_size_limit {
public:
    explicit file_size_limit(rlim_t limit) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit lowered{limit, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &lowered);
    }
    ~file_size_limit() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }
    file_size_limit(const file_size_limit&) = delete;
    file_size_limit& operator=(const file_size_limit&) = delete;

private:
    rlimit old_{};
    void (*old_handler_)(int);
};

/// Root may write anywhere: gives its rights up as long as it lives.
class without_root {
public:
    without_root() {
        if (was_root_ && ::seteuid(65534) != 0) {
            throw std::system_error(errno, std::generic_category(), "seteuid");
        }
    }
    ~without_root() {
        if (was_root_ && ::seteuid(0) != 0) {
            std::terminate();
        }
    }
    without_root(const without_root&) = delete;
    without_root& operator=(const without_root&) = delete;

private:
    const bool was_root_ = ::geteuid() == 0;
};

class SqliteErrors : public ::testing::Test {
protected:
    [[nodiscard]] sqlite::table_options options() const { return {.path = path_, .table = "items"}; }

    /// What opening says.
    [[nodiscard]] error refusal(const sqlite::table_options& of) const {
        return error_of([&] { texts source(of); });
    }

    /// A database with `rows` rows "key 0", ... of 100 bytes each, closed and in the given journal mode.
    void make(int rows, bool write_ahead_log) const {
        texts source({.path = path_,
                      .table = "items",
                      .create_if_missing = true,
                      .write_ahead_log = write_ahead_log,
                      .sync_every_commit = false});
        (void)source.store(some(rows));
    }

    static std::vector<write> some(int rows) {
        std::vector<write> operations;
        for (int i = 0; i < rows; ++i) {
            operations.push_back({.key = "key " + std::to_string(i), .value = std::string(100, 'v')});
        }
        return operations;
    }

    void write_file(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }

    temp_dir dir_;
    const std::string path_ = dir_ / "data.db";
};

TEST_F(SqliteErrors, a_missing_file_is_unavailable_and_is_not_created) {
    const error missing = refusal(options());
    EXPECT_EQ(missing.code(), errc::unavailable);
    EXPECT_TRUE(says(missing, {"cannot open", "table \"items\"", path_, "no such file"}));
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteErrors, a_missing_folder_is_unavailable_even_when_creating) {
    sqlite::table_options nowhere = options();
    nowhere.path = dir_ / "no/such/folder/data.db";
    nowhere.create_if_missing = true;
    const error missing = refusal(nowhere);
    EXPECT_EQ(missing.code(), errc::unavailable);
    EXPECT_TRUE(says(missing, {"cannot open", nowhere.path, "No such file or directory"}));
}

TEST_F(SqliteErrors, a_missing_table_is_unavailable) {
    raw_database(path_).run("CREATE TABLE other (key TEXT PRIMARY KEY, value TEXT)");
    const error missing = refusal(options());
    EXPECT_EQ(missing.code(), errc::unavailable);
    EXPECT_TRUE(says(missing, {path_, "no such table", "items"}));
}

TEST_F(SqliteErrors, an_empty_file_is_a_database_without_the_table) {
    write_file("");
    EXPECT_TRUE(says(refusal(options()), {"no such table"}));
}

TEST_F(SqliteErrors, a_missing_column_is_unavailable_and_never_taken_for_a_string) {
    raw_database(path_).run(
        "CREATE TABLE items (key TEXT PRIMARY KEY, val TEXT); INSERT INTO items VALUES ('a', 'b')");
    const error value = refusal(options());
    EXPECT_EQ(value.code(), errc::unavailable);
    EXPECT_TRUE(says(value, {path_, "table \"items\"", "no such column", "value"}));
    sqlite::table_options other = options();
    other.key_column = "id";
    other.value_column = "val";
    const error key = refusal(other);
    EXPECT_EQ(key.code(), errc::unavailable);
    EXPECT_TRUE(says(key, {"no such column", "id"}));
}

TEST_F(SqliteErrors, a_folder_and_a_pipe_are_unavailable) {
    for (const bool creates : {false, true}) {
        sqlite::table_options folder = options();
        folder.path = dir_.path().string();
        folder.create_if_missing = creates;
        const error refused = refusal(folder);
        EXPECT_EQ(refused.code(), errc::unavailable);
        EXPECT_TRUE(says(refused, {dir_.path().string(), "folder"}));
    }
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(refusal(options()).code(), errc::unavailable);
}

TEST_F(SqliteErrors, a_file_that_is_not_a_database_is_invalid_data) {
    write_file("This is a text, and quite long enough to have a header. " + std::string(4096, '.'));
    for (const bool read_only : {false, true}) {
        sqlite::table_options other = options();
        other.read_only = read_only;
        const error refused = refusal(other);
        EXPECT_EQ(refused.code(), errc::invalid_data);
        EXPECT_TRUE(says(refused, {path_, "not a database"}));
    }
}

TEST_F(SqliteErrors, a_corrupt_page_is_invalid_data_and_the_good_pages_are_still_served) {
    make(2000, true);
    texts source(options());
    std::optional<std::string> good;
    const auto size = std::filesystem::file_size(path_);
    ASSERT_GT(size, 40U * 4096);
    {
        std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(size / 2 / 4096 * 4096));  // a run of pages in the middle
        file << std::string(std::size_t{10} * 4096, '\xa5');
    }
    int served = 0;
    int corrupt = 0;
    for (int i = 0; i < 2000; ++i) {
        try {
            served += get(source, "key " + std::to_string(i)) ? 1 : 0;
        } catch (const error& failure) {
            ++corrupt;
            ASSERT_EQ(failure.code(), errc::invalid_data);
            ASSERT_TRUE(says(failure, {"cannot load from", "table \"items\"", path_, "malformed"}));
        }
    }
    EXPECT_GT(served, 0);
    EXPECT_GT(corrupt, 0);
}

TEST_F(SqliteErrors, a_table_that_is_dropped_and_made_again_recovers) {
    make(1, true);
    texts source(options());
    EXPECT_TRUE(get(source, "key 0"));
    raw_database raw(path_);
    raw.run("DROP TABLE items");
    const error dropped = error_of([&] { (void)get(source, "key 0"); });
    EXPECT_EQ(dropped.code(), errc::unavailable);
    EXPECT_TRUE(says(dropped, {"cannot load from", "no such table"}));
    EXPECT_EQ(error_of([&] { put(source, "a", "b"); }).code(), errc::unavailable);
    raw.run("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT)");
    EXPECT_FALSE(get(source, "key 0"));
    put(source, "key 0", "new");
    EXPECT_EQ(get(source, "key 0"), "new");
}

TEST_F(SqliteErrors, a_file_locked_by_another_connection_is_unavailable_until_it_is_released) {
    make(1, false);
    sqlite::table_options impatient = options();
    impatient.busy_timeout = 1ms;
    impatient.write_ahead_log = false;
    texts source(impatient);
    put(source, "key 1", "old");
    raw_database other(path_);
    other.run("BEGIN EXCLUSIVE");
    const error load_refused = error_of([&] { (void)get(source, "key 0"); });
    EXPECT_EQ(load_refused.code(), errc::unavailable);
    EXPECT_TRUE(says(load_refused, {"cannot load from", path_, "locked"}));
    const error store_refused = error_of([&] { put(source, "key 0", "new"); });
    EXPECT_EQ(store_refused.code(), errc::unavailable);
    EXPECT_TRUE(says(store_refused, {"cannot store to", path_, "locked"}));
    EXPECT_EQ(refusal(impatient).code(), errc::unavailable);
    other.run("COMMIT");
    EXPECT_EQ(get(source, "key 0"), std::string(100, 'v'));
    put(source, "key 0", "new");
    EXPECT_EQ(get(source, "key 0"), "new");
}

TEST_F(SqliteErrors, a_writer_elsewhere_does_not_hinder_loads_under_write_ahead_logging) {
    make(1, true);
    sqlite::table_options impatient = options();
    impatient.busy_timeout = 0ms;
    texts source(impatient);
    raw_database other(path_);
    other.run("BEGIN EXCLUSIVE; UPDATE items SET value = 'unseen'");
    EXPECT_EQ(get(source, "key 0"), std::string(100, 'v'));
    EXPECT_EQ(error_of([&] { put(source, "key 0", "mine"); }).code(), errc::unavailable);
    other.run("COMMIT");
    EXPECT_EQ(get(source, "key 0"), "unseen");
    put(source, "key 0", "mine");
    EXPECT_EQ(get(source, "key 0"), "mine");
}

TEST_F(SqliteErrors, a_failed_connection_is_replaced_and_a_refused_one_is_kept) {
    make(1, false);
    static int opened = 0;  // on this thread only
    opened = 0;
    const opening_hook hook([](sqlite3*, char**, const sqlite3_api_routines*) {
        ++opened;
        return SQLITE_OK;
    });
    sqlite::table_options impatient = options();
    impatient.busy_timeout = 0ms;
    impatient.write_ahead_log = false;
    texts source(impatient);
    EXPECT_EQ(opened, 1);
    raw_database other(path_);
    opened = 0;
    other.run("BEGIN EXCLUSIVE");
    EXPECT_EQ(error_of([&] { (void)get(source, "key 0"); }).code(), errc::unavailable);
    other.run("ROLLBACK");
    EXPECT_TRUE(get(source, "key 0"));
    EXPECT_EQ(opened, 0);
    other.run("ALTER TABLE items RENAME TO away");
    EXPECT_EQ(error_of([&] { (void)get(source, "key 0"); }).code(), errc::unavailable);
    other.run("ALTER TABLE away RENAME TO items");
    EXPECT_TRUE(get(source, "key 0"));
    EXPECT_EQ(opened, 1);
}

TEST_F(SqliteErrors, a_full_disk_rolls_back_and_is_no_space_on_device) {
    const opening_hook hook([](sqlite3* database, char**, const sqlite3_api_routines*) {
        return sqlite3_exec(database, "PRAGMA max_page_count = 20", nullptr, nullptr, nullptr);
    });
    make(10, true);
    texts source(options());
    const error full = error_of([&] { (void)source.store(some(2000)); });
    EXPECT_EQ(full.code(), std::error_code(SQLITE_FULL, sqlite::error_category()));
    EXPECT_EQ(full.code(), std::errc::no_space_on_device);
    EXPECT_TRUE(says(full, {"cannot store to", path_, "full"}));
    EXPECT_EQ(source.count(), 10U);
    put(source, "key 0", "new");
    EXPECT_EQ(get(source, "key 0"), "new");
}

TEST_F(SqliteErrors, a_failing_write_rolls_back_and_is_an_io_error) {
    make(10, true);
    texts source(options());
    {
        const file_size_limit limit(200'000);
        const error failed = error_of([&] { (void)source.store(some(20'000)); });
        EXPECT_EQ(failed.code().category(), sqlite::error_category());
        EXPECT_EQ(failed.code(), std::errc::io_error);
        EXPECT_TRUE(says(failed, {"cannot store to", path_, "I/O", "File too large"}));
        EXPECT_EQ(source.count(), 10U);
    }
    (void)source.store(some(2000));
    EXPECT_EQ(source.count(), 2000U);
}

TEST_F(SqliteErrors, a_file_that_may_not_be_written_can_be_read) {
    for (const bool logs_ahead : {false, true}) {
        std::filesystem::remove(path_);
        make(3, logs_ahead);
        std::filesystem::permissions(path_, std::filesystem::perms(0444));
        std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
        {
            const without_root rights;
            for (const bool read_only : {false, true}) {
                sqlite::table_options other = options();
                other.read_only = read_only;
                texts source(other);
                EXPECT_EQ(load(source, {"key 0"s, "x"s, "key 2"s})[2].value, std::string(100, 'v'));
                EXPECT_EQ(source.count(), 3U);
                EXPECT_EQ(error_of([&] { put(source, "key 0", "new"); }).code(), errc::read_only);
            }
        }
        std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755));
    }
}

TEST_F(SqliteErrors, a_folder_that_may_not_be_written_shows_what_a_live_log_holds) {
    make(1, true);
    texts writer(options());  // holds the log open
    put(writer, "key 0", "in the log");
    for (const char* const suffix : {"", "-wal", "-shm"}) {
        std::filesystem::permissions(path_ + suffix, std::filesystem::perms(0644));
    }
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
    const without_root rights;
    texts reader({.path = path_, .table = "items", .read_only = true});
    EXPECT_EQ(get(reader, "key 0"), "in the log");
}

TEST_F(SqliteErrors, creating_where_it_is_not_allowed_says_why) {
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
    sqlite::table_options creating = options();
    creating.create_if_missing = true;
    const without_root rights;
    const error refused = refusal(creating);
    EXPECT_EQ(refused.code(), errc::unavailable);
    EXPECT_TRUE(says(refused, {"cannot open", path_, "Permission denied"}));
}

TEST_F(SqliteErrors, odd_file_names_are_names) {
    const auto at = [&](const std::string& name) {
        return sqlite::table_options{.path = dir_ / name, .table = "items", .create_if_missing = true};
    };
    for (const std::string& name :
         {"a b.db"s, "100%41.db"s, "what?.db"s, "#1.db"s, "größe.db"s, "quote'.db"s}) {
        texts source(at(name));
        put(source, "a", name);
        EXPECT_EQ(get(source, "a"), name);
        EXPECT_TRUE(std::filesystem::exists(dir_ / name));
    }
    // The same names, where they go through a URI.
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
    const without_root rights;
    for (const std::string& name : {"a b.db"s, "100%41.db"s, "what?.db"s, "#1.db"s}) {
        texts source({.path = dir_ / name, .table = "items"});
        EXPECT_EQ(get(source, "a"), name);
    }
}

TEST_F(SqliteErrors, a_name_that_begins_with_file_is_not_a_uri) {
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(dir_.path());
    {
        texts source({.path = "file:data.db?mode=memory", .table = "items", .create_if_missing = true});
        put(source, "a", "1");
    }
    std::filesystem::current_path(before);
    EXPECT_TRUE(std::filesystem::exists(dir_ / "file:data.db?mode=memory"));
}

TEST(SqliteErrorCategory, has_sqlites_name_sentences_and_conditions) {
    const std::error_category& category = sqlite::error_category();
    EXPECT_STREQ(category.name(), "sqlite");
    EXPECT_EQ(category.message(SQLITE_CONSTRAINT), "constraint failed");
    EXPECT_EQ(std::error_code(SQLITE_FULL, category), std::errc::no_space_on_device);
    EXPECT_EQ(std::error_code(SQLITE_IOERR_WRITE, category), std::errc::io_error);
    EXPECT_EQ(std::error_code(SQLITE_NOMEM, category), std::errc::not_enough_memory);
    EXPECT_EQ(std::error_code(SQLITE_TOOBIG, category), std::errc::value_too_large);
    EXPECT_NE(std::error_code(SQLITE_CONSTRAINT, category), std::errc::io_error);
}

}  // namespace
}  // namespace levee::tests
