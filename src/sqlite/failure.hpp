/// From SQLite's result codes to the codes that callers decide by.
#pragma once

#include <string>
#include <system_error>

namespace levee::sqlite::detail {

/// The code thrown for an extended result code; the table is at `sqlite::error_category`.
[[nodiscard]] std::error_code classify(int result) noexcept;

/// Whether a connection that returned `result` is still good: the statement was refused, nothing broke.
[[nodiscard]] bool is_harmless(int result) noexcept;

/// `table "items" of "shop.db"`, for the sentences of errors.
[[nodiscard]] std::string place(const std::string& path, const std::string& table);

}  // namespace levee::sqlite::detail
