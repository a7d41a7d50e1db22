#include "levee/store/key_codec.hpp"

#include <charconv>
#include <system_error>

namespace levee::store_detail {
namespace {

template <class Number>
std::optional<Number> number_from(std::string_view text) noexcept {
    Number found = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), found);
    if (failure != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    const std::string_view digits = text.substr(text.front() == '-' ? 1 : 0);
    if ((digits.size() > 1 && digits.front() == '0') || (found == 0 && text.front() == '-')) {
        return std::nullopt;
    }
    return found;
}

}  // namespace

std::string decimal(std::int64_t number) {
    return std::to_string(number);
}

std::string decimal(std::uint64_t number) {
    return std::to_string(number);
}

std::optional<std::int64_t> signed_from(std::string_view text) noexcept {
    return number_from<std::int64_t>(text);
}

std::optional<std::uint64_t> unsigned_from(std::string_view text) noexcept {
    return number_from<std::uint64_t>(text);
}

}  // namespace levee::store_detail
