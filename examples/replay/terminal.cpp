#include "replay/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "levee/core/error.hpp"

namespace replay {
namespace {

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes it
    return value == nullptr ? "" : value;
}

}  // namespace

terminal terminal::at(int descriptor) {
    terminal result;
    result.is_terminal = ::isatty(descriptor) == 1 && variable("TERM") != "dumb";
    result.has_colour = result.is_terminal && variable("NO_COLOR").empty();
    winsize size{};
    if (result.is_terminal && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0) {
        result.width = size.ws_col > 0 ? size.ws_col : result.width;
        result.height = size.ws_row > 0 ? size.ws_row : result.height;
    }
    return result;
}

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EPIPE) {
            throw broken_pipe();
        } else if (errno != EINTR) {
            throw levee::error(std::error_code(errno, std::generic_category()), "cannot write the report");
        }
    }
}

}  // namespace replay
