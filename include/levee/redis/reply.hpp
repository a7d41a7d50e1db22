/// What a Redis server answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace levee::redis {

namespace detail {
class reply_builder;
}

enum class reply_kind : std::uint8_t {
    nil,      ///< Nothing there.
    string,   ///< Bytes: a bulk string.
    status,   ///< A short word of the server: "OK", "PONG".
    error,    ///< The server refused; `text()` is what it said.
    integer,  ///< 64 bits, signed.
    array,    ///< Replies.
};

/// One reply, a tree if it is an array. It owns what it holds.
///
/// Errors: asking for what it is not throws levee::error with errc::invalid_data; for an error reply what
/// `throw_if_error` throws.
/// Thread safety: distinct objects: safe; shared objects: safe to read.
class reply {
public:
    /// Nil.
    reply() = default;

    static reply of_string(std::string text) { return {reply_kind::string, std::move(text)}; }
    static reply of_status(std::string text) { return {reply_kind::status, std::move(text)}; }
    static reply of_error(std::string text) { return {reply_kind::error, std::move(text)}; }
    static reply of_integer(std::int64_t value);
    static reply of_array(std::vector<reply> elements);

    [[nodiscard]] reply_kind kind() const noexcept { return kind_; }
    [[nodiscard]] bool is_nil() const noexcept { return kind_ == reply_kind::nil; }
    [[nodiscard]] bool is_error() const noexcept { return kind_ == reply_kind::error; }
    [[nodiscard]] bool is_array() const noexcept { return kind_ == reply_kind::array; }

    /// The bytes of a string, a status or an error.
    [[nodiscard]] const std::string& text() const&;
    [[nodiscard]] std::string text() &&;

    /// The bytes of a string or a status; empty for nil.
    [[nodiscard]] std::optional<std::string> optional_text() const&;
    [[nodiscard]] std::optional<std::string> optional_text() &&;

    /// The value of an integer, or of a string that is one.
    [[nodiscard]] std::int64_t integer() const;

    /// The replies of an array; nil has none.
    [[nodiscard]] const std::vector<reply>& elements() const&;
    [[nodiscard]] std::vector<reply> elements() &&;
    [[nodiscard]] const reply& operator[](std::size_t index) const;

    /// Throws redis::error with the server's words, if this is an error reply.
    void throw_if_error() const;

    friend bool operator==(const reply& a, const reply& b) = default;

private:
    friend class detail::reply_builder;

    reply(reply_kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
    void expect(bool is_so, const char* wanted) const;

    reply_kind kind_ = reply_kind::nil;
    std::int64_t integer_ = 0;
    std::string text_{};
    std::vector<reply> elements_{};
};

}  // namespace levee::redis
