/// What the server's clock shows, as far as can be told from here.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "levee/core/clock.hpp"

namespace levee::redis::detail {

/// Learns from answers that bring the server's time: it was read between asking and answering, which bounds
/// the distance of the two clocks from both sides. Later bounds narrow earlier ones; such that contradict
/// them (the server's clock was set, another server answers) replace them. Between two lessons the clocks may
/// run apart by one part in 2,000, the most by which a system slews its own.
///
/// Entries end by `latest`, so that none is taken for fresh that the server would not.
///
/// Thread safety: safe. Cost of `latest`: two loads.
class server_clock {
public:
    /// How long bounds are good enough not to ask again.
    static constexpr duration good_for = std::chrono::seconds(1);

    /// `shown`: microseconds, read by the server after `asked` and before `answered`. `generation`: of the
    /// connection that answered; another one's bounds are forgotten.
    void learn(time_point asked, time_point answered, std::int64_t shown, std::uint64_t generation);

    /// True: ask the server for its time along with the next command.
    [[nodiscard]] bool is_due(time_point now, std::uint64_t generation) const noexcept;

    /// False: nothing is known of the server behind this connection.
    [[nodiscard]] bool knows(std::uint64_t generation) const noexcept {
        return generation != 0 && generation_.load(std::memory_order_acquire) == generation;
    }

    /// The server's clock shows at most, at least this; in microseconds.
    [[nodiscard]] std::int64_t latest(time_point now) const noexcept;
    [[nodiscard]] std::int64_t earliest(time_point now) const noexcept;

private:
    [[nodiscard]] std::int64_t drift(time_point now) const noexcept;

    std::mutex mutex_;                         // of those who learn; taken alone
    std::atomic<std::int64_t> ahead_most_{0};  // server's time less ours, in microseconds
    std::atomic<std::int64_t> ahead_least_{0};
    std::atomic<duration::rep> learned_at_{0};
    std::atomic<std::uint64_t> generation_{0};  // stored last: pairs with `knows` and `is_due`
};

}  // namespace levee::redis::detail
