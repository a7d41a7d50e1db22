/// Numbers as bytes, the lowest first, whatever the machine's order.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace levee::redis::detail {

template <class Number>
void put_at(std::string& in, std::size_t at, Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
        in[at + i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    }
}

template <class Number>
void put(std::string& to, Number value) {
    to.resize(to.size() + sizeof value);
    put_at(to, to.size() - sizeof value, value);
}

/// `from` must have that many bytes at `at`.
template <class Number>
[[nodiscard]] Number get(std::string_view from, std::size_t at) noexcept {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
        const auto byte = static_cast<Number>(static_cast<unsigned char>(from[at + i]));
        value = static_cast<Number>(value | static_cast<Number>(byte << (8 * i)));
    }
    return value;
}

}  // namespace levee::redis::detail
