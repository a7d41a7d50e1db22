#include "levee/postgres/result.hpp"

#include <charconv>
#include <cstring>
#include <stdexcept>
#include <string>

#include "levee/core/error.hpp"
#include "postgres/result_access.hpp"

namespace levee::postgres {
namespace {

const PGresult* of(const detail::raw_result* raw) noexcept {
    return reinterpret_cast<const PGresult*>(raw);
}

std::size_t rows_of(const detail::raw_result* raw) noexcept {
    return raw == nullptr ? 0 : static_cast<std::size_t>(PQntuples(of(raw)));
}

std::size_t columns_of(const detail::raw_result* raw) noexcept {
    return raw == nullptr ? 0 : static_cast<std::size_t>(PQnfields(of(raw)));
}

std::optional<std::size_t> column_of(const detail::raw_result* raw, std::string_view name) noexcept {
    for (std::size_t i = 0; i < columns_of(raw); ++i) {
        if (name == PQfname(of(raw), static_cast<int>(i))) {
            return i;
        }
    }
    return std::nullopt;
}

int checked_column(const detail::raw_result* raw, std::size_t column) {
    if (column >= columns_of(raw)) {
        throw std::out_of_range("column " + std::to_string(column) + " of a result with " +
                                std::to_string(columns_of(raw)));
    }
    return static_cast<int>(column);
}

[[noreturn]] void refuse(const std::string& what) {
    throw levee::error(levee::errc::invalid_data, what);
}

}  // namespace

void detail::raw_result_deleter::operator()(raw_result* raw) const noexcept {
    PQclear(reinterpret_cast<PGresult*>(raw));
}

std::size_t row::size() const noexcept {
    return columns_of(of_);
}

field row::operator[](std::size_t column) const {
    if (column >= size()) {
        refuse("column " + std::to_string(column) + " is asked for, of a row with " + std::to_string(size()));
    }
    const PGresult* const raw = of(of_);
    const int i = static_cast<int>(column);
    const int at = static_cast<int>(index_);
    const bool is_null = PQgetisnull(raw, at, i) != 0;
    const std::string_view bytes =
        is_null ? std::string_view()
                : std::string_view(PQgetvalue(raw, at, i), static_cast<std::size_t>(PQgetlength(raw, at, i)));
    return {static_cast<type_oid>(PQftype(raw, i)), PQfformat(raw, i) == 1, is_null, bytes,
            field::place{.name = PQfname(raw, i), .column = column, .row = index_}};
}

field row::operator[](std::string_view name) const {
    const std::optional<std::size_t> column = column_of(of_, name);
    if (!column) {
        std::string there;
        for (std::size_t i = 0; i < size(); ++i) {
            there += (i == 0 ? "\"" : ", \"") + std::string(PQfname(of(of_), static_cast<int>(i))) + "\"";
        }
        refuse("there is no column \"" + std::string(name) + "\"; there are: " + there);
    }
    return (*this)[*column];
}

void row::expect_columns(std::size_t wanted) const {
    if (size() != wanted) {
        refuse("a row of " + std::to_string(size()) + " columns is asked for as " + std::to_string(wanted));
    }
}

std::size_t result::size() const noexcept {
    return rows_of(raw_.get());
}

row result::operator[](std::size_t index) const {
    if (index >= size()) {
        throw std::out_of_range("row " + std::to_string(index) + " of a result with " +
                                std::to_string(size()));
    }
    return {raw_.get(), index};
}

std::size_t result::columns() const noexcept {
    return columns_of(raw_.get());
}

std::string_view result::column_name(std::size_t column) const {
    const int i = checked_column(raw_.get(), column);
    return PQfname(of(raw_.get()), i);
}

type_oid result::column_type(std::size_t column) const {
    const int i = checked_column(raw_.get(), column);
    return static_cast<type_oid>(PQftype(of(raw_.get()), i));
}

std::optional<std::size_t> result::column(std::string_view name) const noexcept {
    return column_of(raw_.get(), name);
}

std::string_view result::command_tag() const noexcept {
    // PQcmdStatus only reads; its parameter is not const for history's sake.
    return raw_ == nullptr ? std::string_view() : PQcmdStatus(reinterpret_cast<PGresult*>(raw_.get()));
}

std::uint64_t result::affected_rows() const noexcept {
    if (raw_ == nullptr) {
        return 0;
    }
    const std::string_view text = PQcmdTuples(reinterpret_cast<PGresult*>(raw_.get()));
    std::uint64_t rows = 0;
    std::from_chars(text.data(), text.data() + text.size(), rows);
    return rows;
}

void result::expect_one() const {
    if (size() != 1) {
        refuse("a result of " + std::to_string(size()) + " rows is asked for as one value");
    }
}

void result::expect_at_most_one() const {
    if (size() > 1) {
        refuse("a result of " + std::to_string(size()) + " rows is asked for as at most one");
    }
}

namespace detail {
namespace {

bool has_binary_form(type_oid type) noexcept {
    switch (type) {
        case type_oid::boolean:
        case type_oid::int2:
        case type_oid::int4:
        case type_oid::int8:
        case type_oid::oid:
        case type_oid::name:
        case type_oid::text:
        case type_oid::varchar:
        case type_oid::bpchar:
        case type_oid::json:
        case type_oid::jsonb:
            return true;
        default:
            return false;
    }
}

/// Where text is longer or dearer to read by far, or depends on settings of the session.
bool binary_pays(type_oid type) noexcept {
    switch (type) {
        case type_oid::bytea:
        case type_oid::float4:
        case type_oid::float8:
        case type_oid::uuid:
        case type_oid::date:
        case type_oid::timestamp:
        case type_oid::timestamptz:
        case type_oid::interval:
        case type_oid::boolean_array:
        case type_oid::bytea_array:
        case type_oid::int2_array:
        case type_oid::int4_array:
        case type_oid::int8_array:
        case type_oid::text_array:
        case type_oid::varchar_array:
        case type_oid::float4_array:
        case type_oid::float8_array:
        case type_oid::date_array:
        case type_oid::timestamp_array:
        case type_oid::timestamptz_array:
        case type_oid::interval_array:
        case type_oid::uuid_array:
        case type_oid::jsonb_array:
            return true;
        default:
            return false;
    }
}

}  // namespace

result make_result(PGresult* taken) noexcept {
    return result(raw_result_owner(reinterpret_cast<raw_result*>(taken)));
}

const PGresult* libpq_result(const result& from) noexcept {
    return of(from.raw());
}

server_message message_of(const PGresult* failed) {
    const auto part = [failed](int code) {
        const char* const text = PQresultErrorField(failed, code);
        return std::string(text == nullptr ? "" : text);
    };
    server_message said{.sqlstate = part(PG_DIAG_SQLSTATE),
                        .severity = part(PG_DIAG_SEVERITY_NONLOCALIZED),
                        .message = part(PG_DIAG_MESSAGE_PRIMARY),
                        .detail = part(PG_DIAG_MESSAGE_DETAIL),
                        .hint = part(PG_DIAG_MESSAGE_HINT),
                        .context = part(PG_DIAG_CONTEXT),
                        .schema = part(PG_DIAG_SCHEMA_NAME),
                        .table = part(PG_DIAG_TABLE_NAME),
                        .column = part(PG_DIAG_COLUMN_NAME),
                        .data_type = part(PG_DIAG_DATATYPE_NAME),
                        .constraint = part(PG_DIAG_CONSTRAINT_NAME)};
    const std::string position = part(PG_DIAG_STATEMENT_POSITION);
    std::from_chars(position.data(), position.data() + position.size(), said.position);
    if (said.message.empty()) {
        said.message = PQresultErrorMessage(failed);
        while (!said.message.empty() && said.message.back() == '\n') {
            said.message.pop_back();
        }
    }
    return said;
}

sql_error make_sql_error(const PGresult* failed, std::string_view statement) {
    return {message_of(failed), statement};
}

int best_result_format(const PGresult* description) noexcept {
    bool pays = false;
    for (int i = 0; i < PQnfields(description); ++i) {
        const auto type = static_cast<type_oid>(PQftype(description, i));
        if (!has_binary_form(type) && !binary_pays(type)) {
            return 0;
        }
        pays = pays || binary_pays(type);
    }
    return pays ? 1 : 0;
}

}  // namespace detail
}  // namespace levee::postgres
