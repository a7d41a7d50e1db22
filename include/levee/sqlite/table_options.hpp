/// How a table of an SQLite file is opened.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "levee/core/clock.hpp"

namespace levee::sqlite {

/// The options of `table_source`. `path` and `table` must be set; the rest has defaults.
struct table_options {
    /// The database file, absolute or relative to the working directory. Not ":memory:" and not a URI
    /// (a name that begins with "file:" is the name of a file).
    std::string path{};

    /// The table, or for loads only a view. One identifier of any characters but NUL; it is quoted.
    std::string table{};

    /// The column looked up. It should be unique (of several rows with one key, any one is found); writes
    /// need it to be the PRIMARY KEY or UNIQUE. Its collation and affinity decide which keys are equal.
    std::string key_column = "key";

    /// The column returned and written. Other columns are left alone, and take their defaults on insertion.
    std::string value_column = "value";

    /// Creates the file (not its folder) and the table when they do not exist. Off, because a misspelt path
    /// should be an error and not an empty database.
    bool create_if_missing = false;

    /// How long a call waits for locks of other processes, and again for a connection of its own. 5 s
    /// outlasts ordinary transactions. Zero: does not wait. SQLite counts in milliseconds: rounded up.
    duration busy_timeout = std::chrono::seconds(5);

    /// Connections for loads, at most, opened when first needed; one more writes. Each allows one load at a
    /// time and holds up to 2 MiB of pages and three file descriptors. In [1, 1024]. Default 4: loads are
    /// processor work mostly, so more than the machine's cores is seldom faster.
    std::size_t connections = 4;

    /// Opens for reading only: `store` is refused with errc::read_only, and the file is not switched to
    /// write-ahead logging. Not together with `create_if_missing`. Without it, a file that the system does
    /// not let this process write can still be read.
    bool read_only = false;

    /// Keys looked up by one statement, at most; longer loads take several, inside one read transaction. In
    /// [1, 999], SQLite's smallest limit of variables. Default 64: more saves nothing measurable.
    std::size_t batch = 64;

    /// Switches the file to write-ahead logging, lastingly, so that loads go on while something writes. If
    /// that cannot be done now (locked, not writable, a file system without shared memory) the file's own
    /// mode is kept. False: the file's own mode is kept anyway; in a rollback mode, loads wait for writers.
    bool write_ahead_log = true;

    /// True: a returned `store` survives a power loss (one fsync a transaction), as a system of record
    /// should. False: it survives the death of the process, but a power loss may take the last
    /// transactions, whole ones, and never corrupts; has an effect under write-ahead logging only.
    bool sync_every_commit = true;
};

/// Throws std::invalid_argument, with the field, its value and its range, unless every field is in range.
void validate(const table_options& options);

}  // namespace levee::sqlite
