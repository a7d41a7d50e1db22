/// Errors: the library's own codes, and the exception that carries any code with a sentence beside it.
#pragma once

#include <string>
#include <system_error>

namespace levee {

/// What can go wrong in levee itself. Codes of the system and of adapters keep their own categories.
enum class errc {
    timeout = 1,     ///< A deadline passed; whether the work happened is not known.
    cancelled,       ///< The caller cancelled the operation.
    closed,          ///< The object was closed or destroyed while the caller waited.
    recursive_load,  ///< A loader asked for the key that it is loading, directly or through other keys.
    would_deadlock,  ///< A blocking call on a thread that the awaited work needs.
    read_only,       ///< The source does not take writes.
    invalid_data,    ///< Stored bytes or rows are not what the codec or the table promises.
    unavailable,     ///< A back end cannot be used now: a circuit is open, a file is locked or missing.
    load_failed,     ///< A source answered `failed` for a key without saying why.
    full,            ///< A queue or a journal is at its bound; nothing was taken.
};

/// The category of `errc`: named "levee", one English sentence a code. `timeout`, `cancelled` and
/// `would_deadlock` compare equal to `std::errc::timed_out`, `operation_canceled` and
/// `resource_deadlock_would_occur`.
[[nodiscard]] const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// What levee throws when an operation fails. `what()` is "<what was done>: <the code's sentence>".
///
/// Wrong options are not this: they throw `std::invalid_argument` at construction.
class error : public std::system_error {
public:
    explicit error(std::error_code code) : std::system_error(code) {}
    error(std::error_code code, const std::string& what) : std::system_error(code, what) {}
    explicit error(errc code) : error(make_error_code(code)) {}
    error(errc code, const std::string& what) : error(make_error_code(code), what) {}
};

}  // namespace levee

template <>
struct std::is_error_code_enum<levee::errc> : std::true_type {};
