/// What a call ended with.
#pragma once

#include <system_error>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::tests {

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
