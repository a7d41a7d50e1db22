/// Finds how many requests an endpoint can have in flight before they queue.
#pragma once

#include "levee/core/clock.hpp"

#include <cstdint>

namespace levee {

struct adaptive_limit_options {
    std::uint32_t initial = 20;  ///< In [minimum, maximum].
    std::uint32_t minimum = 1;   ///< At least 1.
    std::uint32_t maximum = 1000;

    /// How much slower than usual an endpoint may get before its limit falls. At least 1.
    double tolerance = 1.5;

    /// Share of each change that is made, in (0, 1].
    double smoothing = 0.2;

    /// Answers over which latency is averaged before the limit moves. At least 1.
    std::uint32_t window = 20;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const adaptive_limit_options& options);

/// A limit by gradient (Netflix concurrency-limits, "Gradient2", 2018): the ratio of the usual latency to
/// the present one, times the limit, plus a queue of its square root.
///
/// The usual latency is an average over some 600 windows that follows falls at once by a tenth. Below half
/// of the limit in use, the limit does not rise. A refusal or a time-out takes a tenth off.
///
/// Thread safety: unsafe; `load_balancer` gives samples to whichever thread finds it free and drops others.
class gradient_limit {
public:
    /// Errors: std::invalid_argument.
    explicit gradient_limit(const adaptive_limit_options& options = {});

    /// An answer after `latency`, with `in_flight` requests under way, this one included.
    void on_answer(duration latency, std::uint32_t in_flight) noexcept;

    /// "Too busy", or no answer in time.
    void on_drop() noexcept;

    [[nodiscard]] std::uint32_t limit() const noexcept { return static_cast<std::uint32_t>(limit_); }

private:
    adaptive_limit_options options_;
    double limit_;
    double usual_ = 0.0;  // nanoseconds; 0: nothing known
    double window_sum_ = 0.0;
    std::uint32_t window_count_ = 0;
    std::uint32_t window_in_flight_ = 0;
};

}  // namespace levee
