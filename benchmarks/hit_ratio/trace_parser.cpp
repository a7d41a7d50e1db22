#include "hit_ratio/trace_parser.hpp"

#include <algorithm>
#include <charconv>
#include <levee/core/error.hpp>
#include <utility>

namespace levee::lab {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 && !is_blank(c);
}

}  // namespace

trace_parser::trace_parser(std::string name) : name_(std::move(name)), index_(1024) {}

void trace_parser::fail(const std::string& what) const {
    throw error(errc::invalid_data,
                "cannot read trace '" + name_ + "', line " + std::to_string(line_) + ": " + what);
}

void trace_parser::feed(std::string_view piece) {
    while (!piece.empty()) {
        const std::size_t end = piece.find('\n');
        if (end == std::string_view::npos) {
            rest_ += piece;
            if (rest_.size() > max_line) {  // also what keeps `rest_` bounded for a file without line ends
                take_line(rest_);
            }
            return;
        }
        if (rest_.empty()) {
            take_line(piece.substr(0, end));
        } else {
            rest_ += piece.substr(0, end);
            take_line(rest_);
            rest_.clear();
        }
        piece.remove_prefix(end + 1);
    }
}

trace trace_parser::finish() {
    if (!rest_.empty()) {
        take_line(rest_);
    }
    if (trace_.keys.empty()) {
        throw error(errc::invalid_data, "cannot read trace '" + name_ + "': it holds no request");
    }
    return std::move(trace_);
}

void trace_parser::take_line(std::string_view line) {
    ++line_;
    if (line_ == 1 && line.starts_with(byte_order_mark)) {
        line.remove_prefix(byte_order_mark.size());
    }
    if (std::any_of(line.begin(), line.end(), is_control)) {
        fail("it holds control characters; this is not a text file with one key a line");
    }
    if (line.size() > max_line) {
        fail("it is longer than " + std::to_string(max_line) + " bytes; this is not a trace");
    }
    line = trimmed(line);
    if (line.empty()) {
        return;
    }
    const std::size_t comma = line.find(',');
    const bool sized = comma != std::string_view::npos;
    const std::string_view key = trimmed(line.substr(0, comma));
    if (key.empty()) {
        fail("the key is empty");
    }
    if (!trace_.keys.empty() && sized != trace_.has_sizes()) {
        fail(sized ? "it has a size, the lines before it have none"
                   : "it has no size, the lines before it have one");
    }
    if (sized) {
        take_size(trimmed(line.substr(comma + 1)));
    }
    trace_.keys.push_back(id_of(key));
}

void trace_parser::take_size(std::string_view field) {
    std::uint32_t size = 0;
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), size);
    if (code == std::errc::result_out_of_range) {
        fail("the size '" + std::string(field) + "' does not fit in 32 bits");
    }
    if (code != std::errc{} || end != field.data() + field.size()) {
        fail("the size '" + std::string(field) + "' is not a number");
    }
    trace_.sizes.push_back(size);
}

std::uint32_t trace_parser::id_of(std::string_view key) {
    const std::size_t hash = std::hash<std::string_view>{}(key);
    const std::size_t mask = index_.size() - 1;
    std::size_t slot = hash & mask;
    for (; index_[slot] != 0; slot = (slot + 1) & mask) {
        const std::uint32_t id = index_[slot] - 1;
        if (hashes_[id] == hash && trace_.names[id] == key) {
            return id;
        }
    }
    const auto id = static_cast<std::uint32_t>(trace_.names.size());
    trace_.names.emplace_back(key);
    hashes_.push_back(hash);
    index_[slot] = id + 1;
    if (trace_.names.size() * 2 > index_.size()) {
        grow_index();
    }
    return id;
}

void trace_parser::grow_index() {
    std::vector<std::uint32_t> wider(index_.size() * 4);
    const std::size_t mask = wider.size() - 1;
    for (std::uint32_t id = 0; id < hashes_.size(); ++id) {
        std::size_t slot = hashes_[id] & mask;
        while (wider[slot] != 0) {
            slot = (slot + 1) & mask;
        }
        wider[slot] = id + 1;
    }
    index_ = std::move(wider);
}

}  // namespace levee::lab
