/// What the journal's tests share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/journal/journal.hpp"
#include "levee/testing/power_loss_files.hpp"

namespace levee::tests {

using namespace std::chrono_literals;
using levee::testing::power_loss;
using levee::testing::power_loss_files;

/// In an hour of real time: a wait that should end ends long before.
inline time_point soon() {
    return clock::precise().now() + 1h;
}

using records = std::vector<std::pair<std::uint64_t, std::string>>;

/// A journal, and what it replayed.
struct opened {
    explicit opened(journal_options options)
        : log(std::make_unique<journal>(std::move(options),
                                        [this](std::uint64_t sequence, bytes_view record) {
                                            replayed.emplace_back(sequence, std::string(as_text(record)));
                                        })) {}

    std::uint64_t put(const std::string& text) { return log->append(as_bytes(text)); }

    std::uint64_t put_safely(const std::string& text) {
        const std::uint64_t sequence = put(text);
        log->wait_durable(sequence, soon());
        return sequence;
    }

    records replayed{};
    std::unique_ptr<journal> log;
};

inline journal_options on(std::shared_ptr<journal_files> disk) {
    return {.segment_bytes = 4096, .max_bytes = 0, .files = std::move(disk)};
}

/// The name of the n-th segment.
inline std::string segment(int number) {
    const std::string digits = std::to_string(number);  // below ten, decimal is hexadecimal
    return std::string(16 - digits.size(), '0') + digits + ".journal";
}

}  // namespace levee::tests
