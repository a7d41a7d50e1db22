#include "postgres/session_traces.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "postgres/sql_comment.hpp"

namespace levee::postgres::detail {
namespace {

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_word(char c) noexcept {
    const char small = lower(c);
    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool begins_with(std::string_view text, std::string_view lower_word) noexcept {
    return text.size() >= lower_word.size() && std::equal(lower_word.begin(), lower_word.end(), text.begin(),
                                                          [](char a, char b) { return a == lower(b); });
}

/// The first word, after blanks, comments and brackets, in lower case; empty: there is none, or it is long.
std::string_view first_word(std::string_view sql, std::array<char, 16>& into) noexcept {
    std::size_t at = 0;
    while (at < sql.size()) {
        if (const std::size_t end = end_of_comment(sql, at); end > at) {
            at = end;
        } else if (is_word(sql[at])) {
            break;
        } else {
            ++at;
        }
    }
    std::size_t size = 0;
    for (; at < sql.size() && is_word(sql[at]); ++at) {
        if (size == into.size()) {
            return {};
        }
        into[size++] = lower(sql[at]);
    }
    return {into.data(), size};
}

// Words that may be anywhere, also inside others: "pg_try_advisory_lock", "temporary".
constexpr std::array<std::pair<std::string_view, std::uint8_t>, 5> telling{{
    {"advisory", traces::locks},
    {"set_config", traces::settings},
    {"temp", traces::temporary},
    {"dblink", traces::indelible},
    {"lo_open", traces::all},
}};

// Tags that leave nothing behind, by how they begin.
constexpr std::array<std::string_view, 26> clean{
    "SELECT", "INSERT",    "UPDATE",    "DELETE",  "MERGE",    "COPY",    "BEGIN",   "START TRANSACTION",
    "COMMIT", "ROLLBACK",  "SAVEPOINT", "RELEASE", "TRUNCATE", "EXPLAIN", "FETCH",   "MOVE",
    "CLOSE",  "ANALYZE",   "VACUUM",    "NOTIFY",  "SHOW",     "LOCK",    "REINDEX", "GRANT",
    "REVOKE", "CHECKPOINT"};

constexpr std::array<std::pair<std::string_view, std::uint8_t>, 9> leaving{{
    {"SET", traces::settings},
    {"RESET", traces::settings},
    {"LISTEN", traces::listening},
    {"UNLISTEN", traces::listening},
    {"DECLARE", traces::cursors},
    {"DISCARD", traces::none},
    {"DEALLOCATE", traces::none},
    {"PREPARE", traces::indelible},
    {"LOAD", traces::indelible},
}};

}  // namespace

std::uint8_t traces_of_text(std::string_view sql) noexcept {
    std::uint8_t bits = traces::none;
    for (std::size_t i = 0; i < sql.size(); ++i) {
        const char first = lower(sql[i]);
        if (first != 'a' && first != 's' && first != 't' && first != 'd' && first != 'l') {
            continue;
        }
        for (const auto& [word, bit] : telling) {
            if (first == word.front() && begins_with(sql.substr(i), word)) {
                bits |= bit;
            }
        }
    }
    return bits;
}

std::uint8_t traces_of_tag(std::string_view tag) noexcept {
    if (tag.starts_with("SELECT") || tag.starts_with("PREPARE TRANSACTION")) {
        return traces::none;
    }
    const auto is_tag = [&](std::string_view word) {
        return tag.starts_with(word) && (tag.size() == word.size() || tag[word.size()] == ' ');
    };
    for (const auto& [word, bit] : leaving) {
        if (is_tag(word)) {
            return bit;
        }
    }
    return tag.empty() || std::any_of(clean.begin(), clean.end(), is_tag) ? traces::none : traces::all;
}

bool drops_statements(std::string_view tag) noexcept {
    return tag == "DISCARD ALL" || tag == "DEALLOCATE ALL";
}

bool is_shareable(std::string_view sql) noexcept {
    std::array<char, 16> space{};
    const std::string_view word = first_word(sql, space);
    const bool touches_rows = word == "select" || word == "insert" || word == "update" || word == "delete" ||
                              word == "with" || word == "values" || word == "table" || word == "merge";
    return touches_rows && traces_of_text(sql) == traces::none;
}

std::vector<std::string> statements_against(std::uint8_t bits, bool is_in_transaction) {
    std::vector<std::string> all;
    if (is_in_transaction) {
        all.emplace_back("ROLLBACK");
    }
    if ((bits & traces::cursors) != 0) {
        all.emplace_back("CLOSE ALL");
    }
    if ((bits & traces::settings) != 0) {
        all.emplace_back("SET SESSION AUTHORIZATION DEFAULT");
        all.emplace_back("RESET ALL");
    }
    if ((bits & traces::listening) != 0) {
        all.emplace_back("UNLISTEN *");
    }
    if ((bits & traces::locks) != 0) {
        all.emplace_back("SELECT pg_advisory_unlock_all()");
    }
    if ((bits & traces::temporary) != 0) {
        all.emplace_back("DISCARD TEMP");
    }
    return all;
}

}  // namespace levee::postgres::detail
