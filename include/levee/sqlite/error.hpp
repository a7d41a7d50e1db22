/// SQLite's result codes as a std::error_category.
#pragma once

#include <system_error>

namespace levee::sqlite {

/// The category of SQLite's extended result codes: named "sqlite", with SQLite's own sentences.
///
/// What a caller decides by is thrown as `levee::errc`, so that a switch over it works for every back end:
///
/// | SQLite says                                                    | code                                |
/// |----------------------------------------------------------------|-------------------------------------|
/// | busy, locked, cannot open, no such file, table or column       | `errc::unavailable`                 |
/// | corrupt, not a database, a value of the wrong type for a row id | `errc::invalid_data`                |
/// | a write to a read-only file, folder, view or unkeyed table     | `errc::read_only`                   |
/// | anything else: disk full, I/O error, constraint, too big, …    | the extended code, in this category |
///
/// The sentence always carries the path, the table, what was being done, SQLite's message and its code.
/// Codes of this category compare equal to std::errc where there is one: disk full to `no_space_on_device`,
/// I/O errors to `io_error`, out of memory to `not_enough_memory`, too big to `value_too_large`.
[[nodiscard]] const std::error_category& error_category() noexcept;

}  // namespace levee::sqlite
