/// What a call ended with.
#pragma once

#include <optional>
#include <system_error>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::tests {

/// The `Error` that `call` throws; none: it returned. Other exceptions pass.
template <class Error = error, class Call>
[[nodiscard]] std::optional<Error> error_of(Call&& call) {
    try {
        static_cast<void>(std::forward<Call>(call)());
    } catch (const Error& thrown) {
        return thrown;
    }
    return std::nullopt;
}

/// The code of the levee::error that `call` throws; none: it returned. Other exceptions pass.
template <class Call>
[[nodiscard]] std::error_code code_of(Call&& call) {
    try {
        static_cast<void>(std::forward<Call>(call)());
    } catch (const error& thrown) {
        return thrown.code();
    }
    return {};
}

}  // namespace levee::tests
