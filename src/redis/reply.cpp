#include "levee/redis/reply.hpp"

#include <charconv>

#include "levee/core/error.hpp"
#include "levee/redis/error.hpp"

namespace levee::redis {
namespace {

const char* name_of(reply_kind kind) noexcept {
    switch (kind) {
        case reply_kind::nil:
            return "nil";
        case reply_kind::string:
            return "a string";
        case reply_kind::status:
            return "a status";
        case reply_kind::error:
            return "an error";
        case reply_kind::integer:
            return "an integer";
        case reply_kind::array:
            return "an array";
    }
    return "?";
}

}  // namespace

reply reply::of_integer(std::int64_t value) {
    reply made(reply_kind::integer, {});
    made.integer_ = value;
    return made;
}

reply reply::of_array(std::vector<reply> elements) {
    reply made(reply_kind::array, {});
    made.elements_ = std::move(elements);
    return made;
}

void reply::expect(bool is_so, const char* wanted) const {
    if (!is_so) {
        throw_if_error();
        throw levee::error(levee::errc::invalid_data,
                           std::string("a Redis reply is ") + name_of(kind_) + ", not " + wanted);
    }
}

void reply::throw_if_error() const {
    if (is_error()) {
        throw error(code_of(text_), "Redis answered \"" + text_ + "\"", false);
    }
}

const std::string& reply::text() const& {
    expect(kind_ == reply_kind::string || kind_ == reply_kind::status || kind_ == reply_kind::error, "text");
    return text_;
}

std::string reply::text() && {
    static_cast<void>(std::as_const(*this).text());
    return std::move(text_);
}

std::optional<std::string> reply::optional_text() const& {
    expect(kind_ == reply_kind::string || kind_ == reply_kind::status || is_nil(), "text");
    return is_nil() ? std::nullopt : std::optional(text_);
}

std::optional<std::string> reply::optional_text() && {
    expect(kind_ == reply_kind::string || kind_ == reply_kind::status || is_nil(), "text");
    return is_nil() ? std::nullopt : std::optional(std::move(text_));
}

std::int64_t reply::integer() const {
    if (kind_ == reply_kind::string) {
        std::int64_t value = 0;
        const char* const end = text_.data() + text_.size();
        const auto [stop, failure] = std::from_chars(text_.data(), end, value);
        expect(failure == std::errc() && stop == end, "an integer");
        return value;
    }
    expect(kind_ == reply_kind::integer, "an integer");
    return integer_;
}

const std::vector<reply>& reply::elements() const& {
    expect(is_array() || is_nil(), "an array");
    return elements_;
}

std::vector<reply> reply::elements() && {
    expect(is_array() || is_nil(), "an array");
    return std::move(elements_);
}

const reply& reply::operator[](std::size_t index) const {
    expect(is_array(), "an array");
    if (index >= elements_.size()) {
        throw levee::error(levee::errc::invalid_data, "a Redis reply has " +
                                                          std::to_string(elements_.size()) +
                                                          " elements, not " + std::to_string(index + 1));
    }
    return elements_[index];
}

}  // namespace levee::redis
