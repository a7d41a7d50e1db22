#include "levee/redis/command.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace levee::redis {
namespace {

template <class Number>
std::string_view digits(std::array<char, 32>& into, Number value) {
    const auto [end, failure] = std::to_chars(into.data(), into.data() + into.size(), value);
    static_cast<void>(failure);  // 32 characters hold every number
    return {into.data(), static_cast<std::size_t>(end - into.data())};
}

}  // namespace

void command::append(std::string_view word) {
    std::array<char, 32> storage;
    // "*words\r\n", counted up in place; a digit more is put in at 10, 100, ….
    if (words_ == 0) {
        wire_.reserve(64 + word.size());
        wire_ = "*1\r\n";
    } else {
        const std::size_t width = wire_.find('\r') - 1;
        wire_.replace(1, width, digits(storage, words_ + 1));
    }
    ++words_;
    wire_ += '$';
    wire_ += digits(storage, word.size());
    wire_ += "\r\n";
    wire_ += word;
    wire_ += "\r\n";
}

void command::append_integer(std::int64_t value) {
    std::array<char, 32> storage;
    append(digits(storage, value));
}

void command::append_unsigned(std::uint64_t value) {
    std::array<char, 32> storage;
    append(digits(storage, value));
}

void command::append_double(double value) {
    std::array<char, 32> storage;
    append(digits(storage, value));
}

}  // namespace levee::redis
