/// Ctrl-C as a question that can be asked, instead of a handler that runs anywhere.
#pragma once

#include <signal.h>

#include <optional>

namespace replay {

/// While one lives, SIGINT, SIGTERM and SIGHUP do not end the program but wait to be asked for. Those that
/// the program was started to ignore (as by nohup) stay ignored.
///
/// Make it before other threads, which inherit what it does to the calling one.
///
/// Thread safety: unsafe; used by the thread that made it.
class interrupts {
public:
    interrupts();
    ~interrupts();  // the signals act as before, those that have not been asked for included
    interrupts(const interrupts&) = delete;
    interrupts& operator=(const interrupts&) = delete;

    /// The first signal that came, from then on always the same; empty: none. Blocks: no.
    [[nodiscard]] std::optional<int> caught();

private:
    sigset_t held_{};
    sigset_t former_{};
    std::optional<int> caught_{};
};

/// Makes writing to a pipe that nobody reads an error (EPIPE) instead of the program's end.
void ignore_broken_pipes();

}  // namespace replay
