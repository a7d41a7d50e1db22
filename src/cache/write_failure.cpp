#include <array>
#include <string_view>
#include <system_error>

#include "levee/cache/write_behind_options.hpp"
#include "levee/core/error.hpp"

namespace levee {
namespace {

// SQLSTATE, "Appendix A. PostgreSQL Error Codes": the first two characters are the class.
write_failure of_sqlstate(int code) noexcept {
    constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::array<char, 5> text{};
    for (std::size_t i = text.size(); i-- > 0; code /= 36) {
        text[i] = digits[static_cast<std::size_t>(code % 36)];
    }
    const std::string_view state(text.data(), text.size());
    if (state == "25006") {  // read-only transaction: a primary that became a replica
        return write_failure::unavailable;
    }
    for (const std::string_view away : {"08", "53", "57", "58"}) {
        if (state.starts_with(away)) {
            return write_failure::unavailable;
        }
    }
    for (const std::string_view wrong : {"0A", "21", "22", "23", "42", "44"}) {
        if (state.starts_with(wrong)) {
            return write_failure::permanent;
        }
    }
    return write_failure::retryable;
}

write_failure of_sqlite(int code) noexcept {
    switch (code & 0xff) {  // the primary code
        case 18:            // TOOBIG
        case 19:            // CONSTRAINT
        case 20:            // MISMATCH
            return write_failure::permanent;
        case 10:  // IOERR
        case 13:  // FULL
            return write_failure::unavailable;
        default:
            return write_failure::retryable;
    }
}

write_failure of_code(const std::error_code& code) noexcept {
    const std::string_view category = code.category().name();
    if (category == "postgres.sqlstate" && code.value() > 0) {
        return of_sqlstate(code.value());
    }
    if (category == "postgres") {  // the connection, not the statement
        return write_failure::unavailable;
    }
    if (category == "sqlite") {
        return of_sqlite(code.value());
    }
    for (const errc away : {errc::unavailable, errc::timeout, errc::closed, errc::cancelled}) {
        if (code == away) {
            return write_failure::unavailable;
        }
    }
    if (code == errc::invalid_data || code == errc::read_only) {
        return write_failure::permanent;
    }
    for (const std::errc away :
         {std::errc::connection_refused, std::errc::connection_reset, std::errc::connection_aborted,
          std::errc::not_connected, std::errc::broken_pipe, std::errc::timed_out, std::errc::host_unreachable,
          std::errc::network_unreachable, std::errc::network_down, std::errc::no_space_on_device,
          std::errc::io_error, std::errc::not_enough_memory, std::errc::too_many_files_open}) {
        if (code == away) {
            return write_failure::unavailable;
        }
    }
    for (const std::errc wrong : {std::errc::invalid_argument, std::errc::value_too_large,
                                  std::errc::argument_out_of_domain, std::errc::result_out_of_range}) {
        if (code == wrong) {
            return write_failure::permanent;
        }
    }
    return write_failure::retryable;
}

}  // namespace

write_failure classify_write_failure(const std::exception_ptr& failure) noexcept {
    try {
        std::rethrow_exception(failure);
    } catch (const std::system_error& e) {
        return of_code(e.code());
    } catch (...) {
        return write_failure::retryable;
    }
}

}  // namespace levee
