#include "levee/redis/detail/convert.hpp"

#include <chrono>

#include "levee/core/error.hpp"

namespace levee::redis::detail {

to_commit::type to_commit::operator()(request& done) const {
    for (const reply& each : done.parts) {
        each.throw_if_error();  // a word that was refused; EXECABORT comes last and says less
    }
    reply& executed = done.parts.back();
    if (executed.is_nil()) {
        return std::nullopt;
    }
    return std::move(executed).elements();
}

to_optional_texts::type to_optional_texts::operator()(request& done) const {
    type values;
    auto elements = std::move(done.answer).elements();
    values.reserve(elements.size());
    for (reply& each : elements) {
        values.push_back(std::move(each).optional_text());
    }
    return values;
}

to_texts::type to_texts::operator()(request& done) const {
    type values;
    auto elements = std::move(done.answer).elements();
    values.reserve(elements.size());
    for (reply& each : elements) {
        values.push_back(std::move(each).text());
    }
    return values;
}

to_pairs::type to_pairs::operator()(request& done) const {
    type values;
    auto elements = std::move(done.answer).elements();
    if (elements.size() % 2 != 0) {
        throw levee::error(levee::errc::invalid_data, "a Redis reply of pairs has an odd number of elements");
    }
    values.reserve(elements.size() / 2);
    for (std::size_t i = 0; i < elements.size(); i += 2) {
        values.emplace_back(std::move(elements[i]).text(), std::move(elements[i + 1]).text());
    }
    return values;
}

to_life::type to_life::operator()(request& done) const {
    const std::int64_t left = done.answer.integer();
    if (left == -2) {
        return std::nullopt;
    }
    return left == -1 ? (duration::max)() : duration(std::chrono::milliseconds(left));
}

}  // namespace levee::redis::detail
