/// One value of a result.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "levee/postgres/types.hpp"
#include "levee/postgres/value_traits.hpp"

namespace levee::postgres {

/// A value in a row, or in an array: as the server sent it, and as a T.
///
/// It points into its result and must not outlive it.
/// Errors: `as` throws levee::error with errc::invalid_data, naming column, row, the server's type and what
/// was asked for: a NULL that is not asked for as an optional, a type that is not in T's line of
/// `value_traits`, a number or time that T cannot hold, text that is not UTF-8 is not looked at. Thread
/// safety: distinct objects: safe; shared objects: safe.
class field {
public:
    /// Where it stands, for the sentences of errors.
    struct place {
        std::string_view name{};
        std::size_t column = 0;
        std::size_t row = 0;
    };

    field() = default;
    field(type_oid type, bool is_binary, bool is_null, std::string_view raw, place where) noexcept
        : raw_(raw), where_(where), type_(type), is_binary_(is_binary), is_null_(is_null) {}

    [[nodiscard]] type_oid type() const noexcept { return type_; }
    [[nodiscard]] bool is_null() const noexcept { return is_null_; }
    /// Whether `raw` is the server's binary format; else it is what the server prints.
    [[nodiscard]] bool is_binary() const noexcept { return is_binary_; }
    /// The bytes that came; empty for NULL.
    [[nodiscard]] std::string_view raw() const noexcept { return raw_; }
    [[nodiscard]] std::string_view name() const noexcept { return where_.name; }
    [[nodiscard]] const place& where() const noexcept { return where_; }

    /// The value as a T: `value_traits` has the table.
    template <readable T>
    [[nodiscard]] T as() const;

    /// Throws errc::invalid_data: `column 2 "price" of row 5: <what>`.
    [[noreturn]] void refuse(const std::string& what) const;

private:
    std::string_view raw_{};
    place where_{};
    type_oid type_ = type_oid::unspecified;
    bool is_binary_ = false;
    bool is_null_ = true;
};

}  // namespace levee::postgres

#include "levee/postgres/detail/decode.hpp"
