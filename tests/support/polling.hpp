/// Waiting for what nobody tells: what other processes and servers do, and what one hears of them.
#pragma once

#include <chrono>
#include <thread>

namespace levee::tests {

/// Looks each millisecond whether `is_so`; false: it did not come. The time only bounds how long a failure
/// takes, so that it may be generous.
template <class Condition>
[[nodiscard]] bool comes_true(Condition&& is_so, std::chrono::nanoseconds within = std::chrono::seconds(20)) {
    const auto until = std::chrono::steady_clock::now() + within;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() >= until) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace levee::tests
