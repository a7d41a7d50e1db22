/// The command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "hit_ratio/trace.hpp"

namespace replay {

/// What the user asked for.
struct options {
    std::string trace{};                   ///< A file, or "-" for standard input. Empty: made up.
    std::vector<std::uint64_t> entries{};  ///< Cache sizes in entries, rising. Empty: see `plan_for`.
    std::vector<std::uint64_t> bytes{};    ///< Cache sizes in the trace's bytes, rising; excludes the other.
    unsigned threads = 2;                  ///< In [1, 256].
    std::uint64_t baseline_requests = 200'000;  ///< Replayed without a cache, at most. Zero: none.
    bool compare = false;                       ///< Tell what other replacement policies would hit, too.
    std::string plot{};                         ///< An SVG file. Empty: none.
    std::string metrics_file{};                 ///< For Prometheus. Empty: none.
    std::uint64_t requests = 500'000;           ///< Of the made-up workload. In [1, 100'000'000].
    std::uint64_t seed = 1;                     ///< Of the made-up workload.
};

/// The options cannot be carried out: exit code 2.
class wrong_usage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Reads the command line. Empty: all is said (help), and the program ends with success.
/// Errors: wrong_usage with a sentence for the user.
[[nodiscard]] std::optional<options> parse_options(int argc, const char* const* argv, std::ostream& out);

/// The cache sizes to replay.
struct plan {
    bool by_size = false;                     ///< Capacities are bytes, else entries.
    std::vector<std::uint64_t> capacities{};  ///< Rising, each above zero.
    std::uint64_t whole = 0;                  ///< What all keys together would need, in that unit.
};

/// Bytes when asked for, or when the trace has sizes and nothing was asked for; without sizes of the cache
/// given, 1, 2, 5, 10 and 20 % of the keys or of their bytes.
///
/// The trace's sizes must be fixed (one for each key). Errors: wrong_usage for bytes without sizes.
[[nodiscard]] plan plan_for(const options& from, const levee::lab::trace& trace);

/// What to call the trace: the file's name without its folder.
[[nodiscard]] std::string name_of(const options& from);

}  // namespace replay
