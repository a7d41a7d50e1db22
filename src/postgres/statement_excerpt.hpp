/// What of a statement may be shown in an error's sentence.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace levee::postgres::detail {

/// At most 80 characters of the statement on one line, around the character at `position` (from 1; 0: from
/// the beginning), with "…" where it was cut. What stands between quotes ('…', E'…', $tag$…$tag$) is shown as
/// '…', a comment as a blank; a statement that speaks of a password is not shown at all.
[[nodiscard]] std::string excerpt_of(std::string_view statement, std::size_t position);

/// Whether the word "password" is in the statement, in any case.
[[nodiscard]] bool mentions_password(std::string_view statement) noexcept;

/// `text` with every quoted literal of the statement, outside of its comments, replaced by '…'.
[[nodiscard]] std::string without_literals_of(std::string_view statement, std::string text);

}  // namespace levee::postgres::detail
