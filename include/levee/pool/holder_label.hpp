/// Who asks for a connection: what leak reports and "pool exhausted" errors name.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>

namespace levee {

/// A text of static life (a string literal), or a place in the source. Copied freely, never owns anything.
///
///     auto db = pool.acquire("checkout");   // or nothing: the place of the call
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class holder_label {
public:
    constexpr holder_label() noexcept = default;

    /// `text` must stay valid for as long as the program reports holders: a literal.
    constexpr holder_label(const char* text) noexcept : text_(text) {}  // NOLINT(*-explicit-*): meant

    /// The place's file and line.
    constexpr holder_label(const std::source_location& where) noexcept  // NOLINT(*-explicit-*): meant
        : text_(where.file_name()), line_(where.line()) {}

    constexpr holder_label(const char* text, std::uint32_t line) noexcept : text_(text), line_(line) {}

    /// The text, or the file's name; null if there is none.
    [[nodiscard]] constexpr const char* text() const noexcept { return text_; }

    /// The line in the file; 0 for a text.
    [[nodiscard]] constexpr std::uint32_t line() const noexcept { return line_; }

    /// "checkout", or "orders.cpp:41" (without the file's folder); "unnamed" if there is none.
    [[nodiscard]] std::string to_string() const;

private:
    const char* text_ = nullptr;
    std::uint32_t line_ = 0;
};

}  // namespace levee
