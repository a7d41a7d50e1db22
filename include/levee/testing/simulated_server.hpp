/// A server of a balance simulation: how fast it is, how much it takes at once, and what goes wrong when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/testing/service_time.hpp"

namespace levee::testing {

/// Something that goes wrong with a server, and when. Times count from the start of the simulation.
///
///     server.faults = {server_fault::slow(10.0), server_fault::pause(3s, 80ms).every(1s)};
///
/// Where faults overlap, slow factors multiply, and of hanging and failing the worse counts.
struct server_fault {
    enum class kind : std::uint8_t {
        slow,        ///< Work takes `factor` times as long, from then on, begun work included.
        pause,       ///< Nothing moves, as in a garbage collector's pause; then it goes on where it stood.
        fail,        ///< A share of the requests is answered with an error after `latency`, without a slot.
        hang,        ///< Requests are taken and never answered. A client without a timeout waits for ever.
        cold_start,  ///< Work takes `factor` times as long at `from`, falling evenly to 1 at its end.
    };

    kind what = kind::slow;
    duration from{};
    duration length = (duration::max)();  ///< The greatest: for ever.
    duration period{};                    ///< It comes back so often, at least `length`. Zero: once.
    duration until = (duration::max)();   ///< With a period: not again from here on.
    double factor = 1.0;                  ///< Of `slow` and `cold_start`, at least 0.01.
    duration latency{};                   ///< Of `fail`.
    double share = 1.0;                   ///< Of the requests that `fail`, in (0, 1].

    [[nodiscard]] static server_fault slow(double by, duration start = {},
                                           duration span = (duration::max)()) {
        server_fault made;
        made.what = kind::slow;
        made.factor = by;
        return made.during(start, span);
    }
    [[nodiscard]] static server_fault pause(duration start, duration span) {
        server_fault made;
        made.what = kind::pause;
        return made.during(start, span);
    }
    [[nodiscard]] static server_fault fail(duration after, duration start = {},
                                           duration span = (duration::max)(), double of_requests = 1.0) {
        server_fault made;
        made.what = kind::fail;
        made.latency = after;
        made.share = of_requests;
        return made.during(start, span);
    }
    [[nodiscard]] static server_fault hang(duration start = {}, duration span = (duration::max)()) {
        server_fault made;
        made.what = kind::hang;
        return made.during(start, span);
    }
    [[nodiscard]] static server_fault cold_start(double by, duration start, duration span) {
        server_fault made;
        made.what = kind::cold_start;
        made.factor = by;
        return made.during(start, span);
    }

    /// The same fault again and again: flapping, when it is a failure.
    [[nodiscard]] server_fault every(duration again, duration end = (duration::max)()) const {
        server_fault made = *this;
        made.period = again;
        made.until = end;
        return made;
    }

private:
    [[nodiscard]] server_fault during(duration start, duration span) const {
        server_fault made = *this;
        made.from = start;
        made.length = span;
        return made;
    }
};

/// `slots` requests are worked on at once, the others wait in the order of their arrival.
struct simulated_server {
    /// What never is reached: no bound on waiting requests, no end.
    static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);

    /// Default: one a millisecond and slot, exponentially distributed.
    service_time service = service_time::exponential(std::chrono::milliseconds(1));

    /// Requests worked on at once. At least 1.
    std::size_t slots = 8;

    /// Requests that may wait; what comes above is refused at once, as overloaded. Zero: none waits.
    std::size_t max_queue = unlimited;

    std::vector<server_fault> faults{};

    /// When clients hear of it and when they hear that it is gone; what it was sent, it still answers.
    duration joins{};
    duration leaves = (duration::max)();

    /// Requests a second that it can do without faults; infinite if service takes no time.
    [[nodiscard]] double capacity() const noexcept {
        return static_cast<double>(slots) * 1e9 / static_cast<double>(service.mean().count());
    }
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const simulated_server& server);

}  // namespace levee::testing
