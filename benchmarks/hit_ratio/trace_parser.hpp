/// The text form of a trace, parsed piece by piece without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hit_ratio/trace.hpp"

namespace levee::lab {

/// Turns text into a trace: one key a line, with an optional `,size` in bytes.
///
/// The text arrives in pieces that may end anywhere. Blank lines, blanks around a field, Windows line
/// ends and a byte order mark are tolerated; either every request has a size or none has.
///
/// Thread safety: distinct objects: safe; shared: unsafe. Errors: `levee::error` (errc::invalid_data)
/// that names the trace and the line: a control character (a binary file), a line over `max_line`, an
/// empty key, a size that is not a number below 2^32, no request at all. After an error the parser is
/// of no use. Cost: about 0.1 µs a line, one string for each distinct key.
class trace_parser {
public:
    /// The longest accepted line in bytes: longer ones are not keys but something else.
    static constexpr std::size_t max_line = 4096;

    /// `name` is what error messages call the trace.
    explicit trace_parser(std::string name);

    /// Takes the next piece of the text.
    void feed(std::string_view piece);

    /// Takes the last line, if it has no line end, and hands out the trace. To be called once.
    [[nodiscard]] trace finish();

private:
    void take_line(std::string_view line);
    void take_size(std::string_view field);
    [[nodiscard]] std::uint32_t id_of(std::string_view key);
    void grow_index();
    [[noreturn]] void fail(const std::string& what) const;

    std::string name_;
    trace trace_;
    std::string rest_;                  // the beginning of a line whose end has not arrived
    std::uint64_t line_ = 0;            // the number of the line in hand, from 1
    std::vector<std::uint32_t> index_;  // open addressing: id + 1, zero is empty
    std::vector<std::size_t> hashes_;   // of each id, so that growing and probing rarely touch a name
};

}  // namespace levee::lab
