#include "postgres/statement_excerpt.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

#include "postgres/sql_comment.hpp"

namespace levee::postgres::detail {
namespace {

constexpr std::size_t shown = 80;
constexpr std::string_view ellipsis = "…";

bool is_word(char c) noexcept {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

/// The end of the literal that begins at `begin`, and where its inside is; `end == begin`: none begins there.
struct literal {
    std::size_t end = 0, inside = 0, inside_end = 0;
};

literal quoted_at(std::string_view sql, std::size_t begin) {
    // Backslashes escape in E'…' only; taking them as escapes everywhere would end a literal too late.
    const bool has_escapes = begin > 0 && (sql[begin - 1] == 'E' || sql[begin - 1] == 'e') &&
                             (begin < 2 || !is_word(sql[begin - 2]));
    std::size_t at = begin + 1;
    while (at < sql.size()) {
        if (sql[at] == '\'') {
            if (at + 1 < sql.size() && sql[at + 1] == '\'') {
                ++at;
            } else {
                return {at + 1, begin + 1, at};
            }
        } else if (has_escapes && sql[at] == '\\') {
            ++at;
        }
        ++at;
    }
    return {sql.size(), begin + 1, sql.size()};
}

literal dollar_quoted_at(std::string_view sql, std::size_t begin) {
    if (begin > 0 && is_word(sql[begin - 1])) {
        return {begin, begin, begin};
    }
    std::size_t tag_end = begin + 1;
    while (tag_end < sql.size() && is_word(sql[tag_end])) {
        ++tag_end;
    }
    const bool is_parameter =
        begin + 1 < sql.size() && std::isdigit(static_cast<unsigned char>(sql[begin + 1])) != 0;
    if (is_parameter || tag_end >= sql.size() || sql[tag_end] != '$') {
        return {begin, begin, begin};
    }
    const std::string_view tag = sql.substr(begin, tag_end + 1 - begin);
    const std::size_t close = sql.find(tag, tag_end + 1);
    return close == std::string_view::npos ? literal{sql.size(), tag_end + 1, sql.size()}
                                           : literal{close + tag.size(), tag_end + 1, close};
}

literal literal_at(std::string_view sql, std::size_t begin) {
    if (sql[begin] == '\'') {
        return quoted_at(sql, begin);
    }
    if (sql[begin] == '$') {
        return dollar_quoted_at(sql, begin);
    }
    return {begin, begin, begin};
}

/// The end of the quoted name that begins at `begin`; `begin`: none begins there. Quotes in it are doubled,
/// which is as if two names stood side by side.
std::size_t end_of_name(std::string_view sql, std::size_t begin) {
    if (sql[begin] != '"') {
        return begin;
    }
    const std::size_t end = sql.find('"', begin + 1);
    return end == std::string_view::npos ? sql.size() : end + 1;
}

/// The statement, character by character, with literals blanked, comments left out and blanks joined; and
/// which of these characters is the one that was at `position`.
std::vector<std::string_view> shown_characters(std::string_view sql, std::size_t position,
                                               std::size_t& marked) {
    std::vector<std::string_view> result;
    std::size_t number = 0;  // of the statement's character, from 1
    const auto character_size = [&](std::size_t at) {
        std::size_t size = 1;
        while (at + size < sql.size() && (static_cast<unsigned char>(sql[at + size]) & 0xC0U) == 0x80U) {
            ++size;
        }
        return size;
    };
    const auto count_until = [&](std::size_t at, std::size_t end) {
        marked = position > number ? result.size() : marked;
        for (; at < end; at += character_size(at)) {
            ++number;
        }
    };
    std::size_t name_end = 0;  // what quotes a name holds begin nothing
    for (std::size_t at = 0; at < sql.size();) {
        name_end = at < name_end ? name_end : end_of_name(sql, at);
        const bool is_in_name = at < name_end;
        if (const std::size_t end = end_of_comment(sql, at); !is_in_name && end > at) {
            count_until(at, end);
            if (!result.empty() && result.back() != " ") {
                result.emplace_back(" ");
            }
            at = end;
            continue;
        }
        if (const literal found = literal_at(sql, at); !is_in_name && found.end > at) {
            count_until(at, found.end);
            for (const std::string_view each : {std::string_view("'"), ellipsis, std::string_view("'")}) {
                result.push_back(each);
            }
            at = found.end;
            continue;
        }
        const std::size_t size = character_size(at);
        marked = position > number ? result.size() : marked;
        ++number;
        if (static_cast<unsigned char>(sql[at]) > ' ' && sql[at] != '\x7f') {
            result.push_back(sql.substr(at, size));
        } else if (!result.empty() && result.back() != " ") {
            result.emplace_back(" ");
        }
        at += size;
    }
    return result;
}

}  // namespace

bool mentions_password(std::string_view statement) noexcept {
    constexpr std::string_view word = "password";
    return std::search(statement.begin(), statement.end(), word.begin(), word.end(), [](char a, char b) {
               return std::tolower(static_cast<unsigned char>(a)) == b;
           }) != statement.end();
}

std::string excerpt_of(std::string_view statement, std::size_t position) {
    if (mentions_password(statement)) {
        return {};
    }
    constexpr std::size_t looked_at = 1 << 14;  // an error's sentence is not worth more
    std::size_t marked = 0;
    const std::vector<std::string_view> all =
        shown_characters(statement.substr(0, looked_at), position, marked);
    const std::size_t begin =
        all.size() <= shown || marked < shown / 2 ? 0 : std::min(marked - shown / 2, all.size() - shown);
    const std::size_t end = std::min(begin + shown, all.size());
    std::string text(begin > 0 ? ellipsis : std::string_view());
    for (std::size_t i = begin; i < end; ++i) {
        text += all[i];
    }
    if (end < all.size() || statement.size() > looked_at) {
        text += ellipsis;
    }
    return text;
}

std::string without_literals_of(std::string_view statement, std::string text) {
    for (std::size_t at = 0; at < statement.size();) {
        if (const std::size_t end = std::max(end_of_name(statement, at), end_of_comment(statement, at));
            end > at) {
            at = end;
            continue;
        }
        const literal found = literal_at(statement, at);
        if (found.end <= at) {
            ++at;
            continue;
        }
        const std::string_view inside = statement.substr(found.inside, found.inside_end - found.inside);
        for (std::size_t hit = 0; !inside.empty() && (hit = text.find(inside, hit)) != std::string::npos;
             hit += ellipsis.size()) {
            text.replace(hit, inside.size(), ellipsis);
        }
        at = found.end;
    }
    return text;
}

}  // namespace levee::postgres::detail
