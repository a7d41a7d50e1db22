/// What is at the other end of a file descriptor, and writing to it.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace replay {

/// What a stream's reader can show.
struct terminal {
    bool is_terminal = false;  ///< Lines can be redrawn.
    bool has_colour = false;   ///< A terminal, and NO_COLOR is not set.
    std::size_t width = 80;    ///< In characters.
    std::size_t height = 24;   ///< In lines.

    /// Looks at the descriptor and at the environment (TERM, NO_COLOR: see no-color.org).
    [[nodiscard]] static terminal at(int descriptor);
};

/// Nobody reads the output any more.
class broken_pipe : public std::runtime_error {
public:
    broken_pipe() : std::runtime_error("nobody reads the output") {}
};

/// Writes all of the text. Blocks: until it is taken. Errors: broken_pipe; levee::error for others, as a
/// full disk.
void write_all(int descriptor, std::string_view text);

}  // namespace replay
