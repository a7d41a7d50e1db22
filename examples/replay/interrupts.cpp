#include "replay/interrupts.hpp"

#include <ctime>

namespace replay {

interrupts::interrupts() {
    ::sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction now{};
        ::sigaction(signal, nullptr, &now);
        if (now.sa_handler != SIG_IGN) {
            ::sigaddset(&held_, signal);
        }
    }
    ::pthread_sigmask(SIG_BLOCK, &held_, &former_);
}

interrupts::~interrupts() {
    ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

std::optional<int> interrupts::caught() {
    // Also later ones are taken, so that a second Ctrl-C does not cut off the report.
    const std::timespec at_once{};
    for (int signal = 0; (signal = ::sigtimedwait(&held_, nullptr, &at_once)) > 0;) {
        if (!caught_) {
            caught_ = signal;
        }
    }
    return caught_;
}

void ignore_broken_pipes() {
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, nullptr);
}

}  // namespace replay
