/// A Redis command: its words, and how it is to be treated.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/core/bytes.hpp"
#include "levee/core/clock.hpp"

namespace levee::redis {

/// What a command's words can be made of: text, bytes, integers, doubles (in the shortest form that reads
/// back the same).
template <class T>
concept command_word =
    std::convertible_to<const T&, std::string_view> || std::convertible_to<const T&, bytes_view> ||
    (std::is_arithmetic_v<T> && !std::same_as<T, bool> && !std::same_as<T, char>);

/// A command, encoded as it is built: lengths are counted, so that words may hold any bytes.
///
///     redis::command set("SET", key, value, "PX", 5000);
///     redis::command erase("UNLINK");
///     for (const auto& each : keys) { erase.add(each); }
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
class command {
public:
    template <command_word... Words>
    explicit command(std::string_view name, const Words&... words) {
        add(name);
        (add(words), ...);
    }

    /// Appends a word.
    template <command_word Word>
    command& add(const Word& word) {
        if constexpr (std::convertible_to<const Word&, std::string_view>) {
            append(std::string_view(word));
        } else if constexpr (std::convertible_to<const Word&, bytes_view>) {
            append(as_text(bytes_view(word)));
        } else if constexpr (std::floating_point<Word>) {
            append_double(static_cast<double>(word));
        } else if constexpr (std::is_signed_v<Word>) {
            append_integer(static_cast<std::int64_t>(word));
        } else {
            append_unsigned(static_cast<std::uint64_t>(word));
        }
        return *this;
    }

    /// Appends every element of a range as a word.
    template <class Range>
    command& add_all(const Range& words) {
        for (const auto& each : words) {
            add(each);
        }
        return *this;
    }

    /// Executing it twice does no harm: it is sent again when the connection breaks before the answer came,
    /// as often as `client_options::max_attempts` says. Set by the typed calls of `client` that only read.
    command& idempotent(bool is = true) {
        is_idempotent_ = is;
        return *this;
    }

    /// How long its answer may take, from when it is handed to the client, queueing included. Zero: the
    /// client's `command_timeout`.
    command& timeout(duration value) {
        timeout_ = value;
        return *this;
    }

    [[nodiscard]] bool is_idempotent() const noexcept { return is_idempotent_; }
    [[nodiscard]] duration timeout() const noexcept { return timeout_; }
    [[nodiscard]] std::size_t size() const noexcept { return words_; }  ///< Words, the name included.

    /// As it is sent: RESP2.
    [[nodiscard]] const std::string& wire() const& noexcept { return wire_; }
    [[nodiscard]] std::string wire() && noexcept { return std::move(wire_); }

private:
    void append(std::string_view word);
    void append_integer(std::int64_t value);
    void append_unsigned(std::uint64_t value);
    void append_double(double value);

    std::string wire_{};
    std::size_t words_ = 0;
    bool is_idempotent_ = false;
    duration timeout_{};
};

/// Commands that go out together and are answered together, in their order. Other callers' commands do not
/// come between them; that they are executed as one is what `transaction` is for.
class pipeline {
public:
    template <command_word... Words>
    pipeline& add(std::string_view name, const Words&... words) {
        return add(command(name, words...));
    }
    /// Its timeout and mark are not looked at: those of the pipeline count.
    pipeline& add(const command& each) {
        wire_ += each.wire();
        ++commands_;
        return *this;
    }

    /// Appends another one's commands.
    pipeline& append(const pipeline& other) {
        wire_ += other.wire_;
        commands_ += other.commands_;
        return *this;
    }

    /// All of them may be executed twice without harm: see `command::idempotent`.
    pipeline& idempotent(bool is = true) {
        is_idempotent_ = is;
        return *this;
    }
    /// For all of them together. Zero: the client's `command_timeout`.
    pipeline& timeout(duration value) {
        timeout_ = value;
        return *this;
    }

    [[nodiscard]] bool is_idempotent() const noexcept { return is_idempotent_; }
    [[nodiscard]] duration timeout() const noexcept { return timeout_; }
    [[nodiscard]] std::size_t size() const noexcept { return commands_; }  ///< Commands.
    [[nodiscard]] bool empty() const noexcept { return commands_ == 0; }
    [[nodiscard]] const std::string& wire() const& noexcept { return wire_; }
    [[nodiscard]] std::string wire() && noexcept { return std::move(wire_); }

private:
    std::string wire_{};
    std::size_t commands_ = 0;
    bool is_idempotent_ = false;
    duration timeout_{};
};

}  // namespace levee::redis
