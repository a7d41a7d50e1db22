/// What fields are refused with, whatever they are read as.
#pragma once

#include "levee/postgres/detail/decode.hpp"

namespace levee::postgres::detail {

/// errc::invalid_data: the field's type is not one that `wanted` is read from.
[[noreturn]] void refuse_type(const field& from, const char* wanted);

/// errc::invalid_data: the bytes are not those of the field's type.
[[noreturn]] void refuse_bytes(const field& from);

}  // namespace levee::postgres::detail
