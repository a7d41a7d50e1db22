/// What a statement may leave behind in its session, and what takes that away.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace levee::postgres::detail {

/// Kinds of traces, as bits.
struct traces {
    enum : std::uint8_t {
        none = 0,
        settings = 1,    ///< SET, set_config.
        listening = 2,   ///< LISTEN.
        cursors = 4,     ///< DECLARE … WITH HOLD.
        locks = 8,       ///< Advisory locks of the session.
        temporary = 16,  ///< Temporary tables.
        all = 31,        ///< What RESET can take away.
        indelible = 32,  ///< PREPARE, LOAD: the session must be closed.
    };
};

/// What the text of a statement gives away, where its command tag does not: a SELECT may take an advisory
/// lock. Bits of `traces`; too many rather than too few, as it looks for words and does not parse.
[[nodiscard]] std::uint8_t traces_of_text(std::string_view sql) noexcept;

/// What a statement left behind, by the tag that the server answered: "SET", "SELECT 1". Tags that are not
/// known leave `traces::all`.
[[nodiscard]] std::uint8_t traces_of_tag(std::string_view tag) noexcept;

/// True: the server has dropped all prepared statements (DISCARD ALL, DEALLOCATE ALL).
[[nodiscard]] bool drops_statements(std::string_view tag) noexcept;

/// True if the statement may run in a session that others use at the same time: one that reads or writes
/// rows, begins no transaction, and leaves no traces.
[[nodiscard]] bool is_shareable(std::string_view sql) noexcept;

/// The statements that take the traces away; ROLLBACK first if a transaction is open.
[[nodiscard]] std::vector<std::string> statements_against(std::uint8_t bits, bool is_in_transaction);

}  // namespace levee::postgres::detail
