#include "levee/postgres/error.hpp"

#include <utility>

#include "postgres/statement_excerpt.hpp"

namespace levee::postgres {
namespace {

struct connection_category final : std::error_category {
    [[nodiscard]] const char* name() const noexcept override { return "postgres"; }

    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::connection_lost:
                return "the connection was lost before the answer came";
            case errc::not_connected:
                return "not connected";
            case errc::queue_full:
                return "too many statements wait already";
            case errc::protocol_error:
                return "not what the PostgreSQL protocol allows";
            case errc::wrong_role:
                return "the server has another role";
        }
        return "unknown error";
    }

    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<errc>(code)) {
            case errc::connection_lost:
                return std::errc::connection_reset;
            case errc::not_connected:
                return std::errc::not_connected;
            case errc::queue_full:
                return std::errc::no_buffer_space;
            case errc::protocol_error:
                return std::errc::protocol_error;
            default:
                return {code, *this};
        }
    }
};

constexpr int class_size = 36 * 36 * 36;

constexpr int class_of(int state) noexcept {
    return state - state % class_size;
}

std::string state_text(int value) {
    std::string text(5, '0');
    for (std::size_t i = 5; i-- > 0; value /= 36) {
        const int digit = value % 36;
        text[i] = static_cast<char>(digit < 10 ? '0' + digit : 'A' + digit - 10);
    }
    return text;
}

struct state_category final : std::error_category {
    [[nodiscard]] const char* name() const noexcept override { return "postgres.sqlstate"; }

    [[nodiscard]] std::string message(int code) const override { return "SQLSTATE " + state_text(code); }

    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<sqlstate>(code)) {
            case sqlstate::read_only_transaction:
                return std::errc::read_only_file_system;
            case sqlstate::query_canceled:
                return std::errc::operation_canceled;
            case sqlstate::deadlock_detected:
                return std::errc::resource_deadlock_would_occur;
            default:
                break;
        }
        if (code == sqlstate_value("53100")) {
            return std::errc::no_space_on_device;
        }
        switch (static_cast<sqlstate_class>(class_of(code))) {
            case sqlstate_class::connection_exception:
                return std::errc::connection_reset;
            case sqlstate_class::invalid_authorization:
                return std::errc::permission_denied;
            case sqlstate_class::insufficient_resources:
                return std::errc::not_enough_memory;
            default:
                return {code, *this};
        }
    }

    [[nodiscard]] bool equivalent(int code, const std::error_condition& condition) const noexcept override {
        if (condition.category() == *this) {
            return condition.value() == code ||
                   (condition.value() % class_size == 0 && condition.value() == class_of(code));
        }
        return default_error_condition(code) == condition;
    }
};

std::string sentence(const server_message& said, const std::string& excerpt) {
    std::string text;
    if (!excerpt.empty()) {
        text += excerpt + ": ";
    }
    text += said.message.empty() ? "the server refused" : said.message;
    if (!said.detail.empty()) {
        text += " [" + said.detail + "]";
    }
    if (!said.hint.empty()) {
        text += " [hint: " + said.hint + "]";
    }
    if (said.position != 0) {
        text += " at character " + std::to_string(said.position);
    }
    return text;
}

}  // namespace

const std::error_category& error_category() noexcept {
    // Leaked on purpose: destructors of user globals may still compare codes after main.
    static const std::error_category& instance = *new connection_category;
    return instance;
}

const std::error_category& sqlstate_category() noexcept {
    static const std::error_category& instance = *new state_category;
    return instance;
}

struct sql_error::prepared {
    server_message said;
    std::string excerpt;

    prepared(server_message&& message, std::string_view statement) : said(std::move(message)) {
        excerpt = detail::excerpt_of(statement, said.position);
        if (detail::mentions_password(statement)) {
            for (std::string* text : {&said.message, &said.detail, &said.hint, &said.context}) {
                *text = detail::without_literals_of(statement, std::move(*text));
            }
        }
    }
};

sql_error::sql_error(server_message said, std::string_view statement)
    : sql_error(prepared(std::move(said), statement)) {}

sql_error::sql_error(prepared all)
    : error({sqlstate_value(all.said.sqlstate), sqlstate_category()}, sentence(all.said, all.excerpt), false),
      said_(std::move(all.said)),
      excerpt_(std::move(all.excerpt)) {}

bool sql_error::is_retryable() const noexcept {
    const std::error_code why = code();
    return why == sqlstate::serialization_failure || why == sqlstate::deadlock_detected ||
           why == sqlstate::lock_not_available || why == sqlstate::too_many_connections ||
           why == sqlstate::cannot_connect_now;
}

bool sql_error::condemns_connection() const noexcept {
    return said_.severity == "FATAL" || said_.severity == "PANIC" || said_.sqlstate.starts_with("57P0") ||
           code() == sqlstate_class::connection_exception || code() == sqlstate::read_only_transaction;
}

}  // namespace levee::postgres
