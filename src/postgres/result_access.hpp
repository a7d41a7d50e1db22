/// Between libpq's results and levee's. The one door: whatever needs libpq's types includes this.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "levee/postgres/error.hpp"
#include "levee/postgres/result.hpp"

namespace levee::postgres::detail {

/// Takes the result over; null gives an empty one. Whether it is an error is not looked at.
[[nodiscard]] result make_result(PGresult* taken) noexcept;

[[nodiscard]] const PGresult* libpq_result(const result& from) noexcept;

/// What the server said in an error or notice; a result that libpq made itself has no SQLSTATE, then its
/// message alone.
[[nodiscard]] server_message message_of(const PGresult* failed);

/// The error of a failed result. `statement`: the SQL text, for the excerpt.
[[nodiscard]] sql_error make_sql_error(const PGresult* failed, std::string_view statement);

/// Which format to ask for, when a prepared statement is described (1: binary, 0: text): binary if all of its
/// columns can be read from it and it pays for one of them at least.
[[nodiscard]] int best_result_format(const PGresult* description) noexcept;

}  // namespace levee::postgres::detail
