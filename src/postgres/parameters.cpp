#include "levee/postgres/parameters.hpp"

#include <limits>

#include "levee/core/error.hpp"

namespace levee::postgres {

parameters& parameters::add_null(type_oid type) {
    slots_.push_back({.offset = 0, .size = -1, .type = type, .is_binary = false});
    return *this;
}

parameters& parameters::end(std::size_t begun, type_oid type, bool is_text) {
    const std::size_t size = data_.size() - begun;
    constexpr std::size_t most = 0x3fff'ffff;  // the server's own limit of a value: 1 GB
    if (size > most) {
        data_.resize(begun);
        throw levee::error(levee::errc::invalid_data, "parameter $" + std::to_string(slots_.size() + 1) +
                                                          ": " + std::to_string(size) +
                                                          " bytes are more than 1 GB");
    }
    data_.push_back('\0');
    slots_.push_back(
        {.offset = begun, .size = static_cast<std::int32_t>(size), .type = type, .is_binary = !is_text});
    return *this;
}

}  // namespace levee::postgres
