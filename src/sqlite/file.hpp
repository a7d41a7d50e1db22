/// What the file system says about a database file before SQLite is asked.
#pragma once

#include <string>

namespace levee::sqlite::detail {

/// Throws levee::error (unavailable, naming `where`) if `path` cannot be a database: absent and not to be
/// created, a folder, a pipe. SQLite itself says "unable to open" for all of these, or waits.
void check_file(const std::string& path, bool may_be_absent, const std::string& where);

/// True if nothing of this process's rights can change the file through SQLite: its folder cannot be written
/// and there is no write-ahead log with changes that are not in the file yet.
[[nodiscard]] bool is_frozen(const std::string& path);

/// The name to give to SQLite, which takes "file:..." for a URI when it is built so.
[[nodiscard]] std::string plain_name(const std::string& path);

/// The URI of the file opened as immutable: no locks, no log, no shared memory.
[[nodiscard]] std::string immutable_uri(const std::string& path);

}  // namespace levee::sqlite::detail
