#include "replay/progress.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>

#include "replay/text.hpp"

namespace replay {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t bar_width = 24, narrow_bar = 8;

double share_of(const step_state& state) {
    return std::min(1.0, ratio(state.done, state.total));
}

std::string percent_of(const step_state& state) {
    return std::to_string(static_cast<int>(100 * share_of(state))) + " %";
}

std::string rate_of(const step_state& state) {
    return as_count(static_cast<std::uint64_t>(std::llround(per_second(state.done, state.elapsed)))) + "/s";
}

// As if the rest went on at the rate so far.
std::optional<std::string> left_of(const step_state& state) {
    if (state.done == 0 || state.elapsed <= 0s) {
        return std::nullopt;
    }
    const double rest = (1 - share_of(state)) / share_of(state);
    const std::chrono::duration<double> left = std::chrono::duration<double>(state.elapsed) * rest;
    return left < 1e6s ? std::optional(as_span(std::chrono::duration_cast<levee::duration>(left)) + " left")
                       : std::nullopt;
}

std::string joined(const step_state& state, std::string_view between) {
    std::string text = percent_of(state);
    text.append(between) += rate_of(state);
    if (const auto left = left_of(state)) {
        text.append(between) += *left;
    }
    return text;
}

}  // namespace

std::string bar_line(const step_state& state, std::size_t width) {
    const std::string label(state.label);
    if (state.total == 0) {
        return (label + " ...").substr(0, width);
    }
    const std::string figures = joined(state, "  ");
    for (const std::size_t length : {bar_width, narrow_bar}) {
        const auto full = static_cast<std::size_t>(share_of(state) * static_cast<double>(length));
        std::string line =
            label + "  [" + std::string(full, '#') + std::string(length - full, '.') + "]  " + figures;
        if (line.size() <= width) {
            return line;
        }
    }
    return (label + "  " + figures).substr(0, width);
}

std::string plain_line(const step_state& state) {
    return std::string(state.label) + (state.total == 0 ? " ..." : ": " + joined(state, ", "));
}

std::string end_line(const step_state& state) {
    std::string text(state.label);
    text += ": ";
    if (state.done > 0) {
        text += as_count(state.done) + " in ";
    }
    text += as_span(state.elapsed);
    if (state.done > 0 && state.elapsed > 0s) {
        text += ", " + rate_of(state);
    }
    return text;
}

progress::~progress() {
    clear();
}

void progress::begin(std::string_view label, std::uint64_t total) {
    ++step_;
    label_ = steps_ == 0 ? std::string() : std::to_string(step_) + '/' + std::to_string(steps_) + ' ';
    label_ += label;
    total_ = total;
    begun_ = levee::clock::precise().now();
    next_ = begun_ + (at_.is_terminal ? 0s : 5s);
    update(0);
}

void progress::update(std::uint64_t done, const details& below) {
    const auto now = levee::clock::precise().now();
    if (now < next_) {
        return;
    }
    if (at_.is_terminal) {
        next_ = now + 100ms;
        write("\r" + bar_line(state(done), at_.width - 1) + "\x1b[K" +
              drawn(below ? below() : std::vector<std::string>()));
        is_drawn_ = true;
    } else {
        next_ = now + 5s;
        write(plain_line(state(done)) + "\n");
    }
}

void progress::end(std::uint64_t done) {
    if (at_.is_terminal) {
        clear();
    } else {
        write(end_line(state(done)) + "\n");
    }
}

// The lines below the bar; the cursor stays in the bar's line.
std::string progress::drawn(const std::vector<std::string>& below) {
    const bool fits = below.size() + 1 < at_.height &&
                      std::all_of(below.begin(), below.end(),
                                  [this](const std::string& line) { return line.size() < at_.width; });
    const std::size_t lines = fits ? below.size() : 0;
    std::string text;
    if (lines < drawn_below_) {
        text += "\x1b[J";
    }
    for (std::size_t i = 0; i < lines; ++i) {
        text.append("\r\n").append(below[i]).append("\x1b[K");
    }
    if (lines > 0) {
        text += "\x1b[" + std::to_string(lines) + 'A';
    }
    drawn_below_ = lines;
    return text;
}

void progress::clear() noexcept {
    if (is_drawn_) {
        write(drawn_below_ > 0 ? "\r\x1b[J" : "\r\x1b[K");
        is_drawn_ = false;
        drawn_below_ = 0;
    }
}

void progress::write(std::string_view text) noexcept {
    try {
        write_all(descriptor_, text);
    } catch (const std::exception&) {
    }
}

step_state progress::state(std::uint64_t done) const {
    return {label_, done, total_, levee::clock::precise().now() - begun_};
}

}  // namespace replay
