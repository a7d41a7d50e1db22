/// The values of a statement's $1, $2, …, encoded as the server reads them; they never become part of the
/// SQL.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/core/bytes.hpp"
#include "levee/postgres/detail/encoder.hpp"
#include "levee/postgres/types.hpp"
#include "levee/postgres/value_traits.hpp"

namespace levee::postgres {

/// The parameters of one statement, in their order. Which types, and as what they are sent: `value_traits`.
///
///     db.query("SELECT name FROM users WHERE id = $1 AND created > $2", 42, since);          // makes them
///     itself auto some = parameters::of(ids, std::nullopt);                                        // by
///     hand
///
/// Errors: `add` throws levee::error with errc::invalid_data and the parameter's number for text with NUL or
/// that is not UTF-8, for a number, time or array that the server's type cannot hold; it is left as it was.
/// Thread safety: distinct objects: safe; shared objects: safe to read.
/// Cost: up to 8 parameters and 128 bytes are kept without an allocation.
class parameters {
public:
    parameters() = default;

    template <class... T>
    [[nodiscard]] static parameters of(const T&... values) {
        parameters result;
        (result.add(values), ...);
        return result;
    }

    /// Adds the next one.
    template <class T>
        requires sendable<std::decay_t<T>>
    parameters& add(const T& value) {
        using type = std::decay_t<T>;
        if constexpr (detail::is_optional<type>) {
            return value ? add(*value) : add_null(detail::parameter_type<typename type::value_type>());
        } else if constexpr (std::is_same_v<type, std::nullopt_t> || std::is_same_v<type, std::nullptr_t>) {
            return add_null(type_oid::unspecified);
        } else {
            // A null `const char*` is NULL.
            if constexpr (std::is_pointer_v<T>) {
                if (value == nullptr) {
                    return add_null(type_oid::unspecified);
                }
            }
            return write(detail::parameter_type<type>(), detail::is_sent_as_text<type>(),
                         [&](detail::encoder& out) { detail::encode(out, value); });
        }
    }

    /// Adds an array of the T, or optional<T>, that `element(i)` answers for each i below `count`.
    template <class T, class F>
        requires readable<T>
    parameters& add_array(std::size_t count, const F& element) {
        return write(detail::array_of(detail::scalar_type<detail::element_of_t<T>>()), false,
                     [&](detail::encoder& out) { detail::encode_array<T>(out, count, element); });
    }

    /// NULL of a type; `unspecified` where the place says which.
    parameters& add_null(type_oid type = type_oid::unspecified);

    [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }
    /// Bytes of all values.
    [[nodiscard]] std::size_t bytes_used() const noexcept { return data_.size(); }

    [[nodiscard]] type_oid type(std::size_t index) const { return slots_[index].type; }
    [[nodiscard]] bool is_null(std::size_t index) const { return slots_[index].size < 0; }
    /// Whether the value is in the binary format; else it is text.
    [[nodiscard]] bool is_binary(std::size_t index) const { return slots_[index].is_binary; }
    /// The encoded value, followed by a NUL that does not belong to it; null for NULL. Valid until the next
    /// `add`, and while this object is where it is.
    [[nodiscard]] const char* data(std::size_t index) const {
        return is_null(index) ? nullptr : data_.data() + slots_[index].offset;
    }
    /// Its bytes; 0 for NULL.
    [[nodiscard]] int length(std::size_t index) const { return is_null(index) ? 0 : slots_[index].size; }

private:
    struct slot {
        std::size_t offset = 0;
        std::int32_t size = -1;  // -1: NULL
        type_oid type = type_oid::unspecified;
        bool is_binary = false;
    };

    template <class F>
    parameters& write(type_oid type, bool is_text, const F& encode) {
        const std::size_t begun = data_.size();
        detail::encoder out(data_, slots_.size() + 1);
        try {
            encode(out);
        } catch (...) {
            data_.resize(begun);
            throw;
        }
        return end(begun, type, is_text);
    }
    parameters& end(std::size_t begun, type_oid type, bool is_text);

    boost::container::small_vector<slot, 8> slots_;
    detail::encoded data_;
};

}  // namespace levee::postgres
