/// A backplane with delays, lost links and repeated messages, over one that has none.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "levee/async/scheduler.hpp"
#include "levee/store/backplane.hpp"
#include "levee/testing/chaos_link.hpp"

namespace levee::testing {

/// What goes wrong. By default nothing does. Shares are in [0, 1]. Everything but `drop` is within the
/// contract of `backplane`.
struct chaos_backplane_options {
    /// Equal seeds and equal messages give equal faults.
    std::uint64_t seed = 1;

    /// Until a message is heard here, drawn evenly from zero to this; each sender's stay in their order,
    /// those of different senders overtake each other. Zero: on the publisher's thread, before it goes on.
    duration delivery_delay{};

    /// From when a message is on its way until `publish` returns, drawn likewise. Zero: without suspending.
    duration publish_delay{};

    double refuse = 0.0;        ///< Of publications: not sent, errc::unavailable.
    double lose_receipt = 0.0;  ///< Of publications: sent, errc::timeout. With `refuse` at most 1.
    double duplicate = 0.0;     ///< Of messages: heard twice, the second time right after the first.

    /// Of messages: with each of these the link breaks, it and all that is on its way are lost, and what is
    /// sent until the link is there again, after up to `reconnect_delay`. Then a gap is reported.
    double break_link = 0.0;
    duration reconnect_delay = std::chrono::seconds(1);  ///< At least zero.

    /// Of messages: lost without a word. No backplane may do this: it is for seeing that a check finds it,
    /// or what a TTL alone is worth.
    double drop = 0.0;

    /// The link shows that it works each `ping_interval`, counted from when it was made; an answer is
    /// waited for so long. Above zero.
    duration ping_interval = std::chrono::seconds(3);
    duration ping_timeout = std::chrono::seconds(2);
};

/// What has happened so far. `heard` counts repetitions, too.
struct chaos_backplane_counts {
    std::uint64_t published = 0, refused = 0, lost_receipts = 0, heard = 0, lost = 0, duplicated = 0,
                  breaks = 0, gaps = 0;
};

/// One node's link to a backplane that several share, with faults of its own: so each node can be cut off
/// alone.
///
/// `fresh_until` is as that of a link which is pinged: the last ping's time plus `ping_interval` and
/// `ping_timeout`. It stands still from a cut on, and while an older message has not been heard yet, as the
/// answers to pings come behind the messages. A healed link reports a gap first and is fresh afterwards.
///
/// Waits on `time` only, hence deterministic on a simulation. `async_publish` ends early, with
/// errc::cancelled, when it is cancelled (terminal). The blocking `publish` drives it: not on a simulation,
/// unless it has nothing to wait for. What handlers throw is dropped.
///
/// Thread safety: safe, if `inner` is. Errors: std::invalid_argument naming an option that is out of range;
/// what `inner` throws; those above.
class chaos_backplane final : public backplane {
public:
    chaos_backplane(std::shared_ptr<backplane> inner, std::shared_ptr<async::scheduler> time,
                    const chaos_backplane_options& options = {});
    ~chaos_backplane() override;
    chaos_backplane(const chaos_backplane&) = delete;
    chaos_backplane& operator=(const chaos_backplane&) = delete;

    /// For publications and messages from now on; the drawing goes on where it was, whatever `seed` is.
    /// The pings are as the constructor's options have them.
    void set_options(const chaos_backplane_options& options);

    /// Cuts: what is on its way is lost, and all that comes until the link is healed, which is a gap.
    void set_link(chaos_link link);

    /// While stalled nothing is heard and nothing lost, as when a process is stopped and continued, or
    /// packets are sent again and again: it is all heard afterwards, without a gap.
    void set_stalled(bool stalled);

    [[nodiscard]] chaos_backplane_counts counts() const;

    [[nodiscard]] boost::asio::awaitable<void> async_publish(backplane_message message) override;
    [[nodiscard]] backplane_subscription subscribe(message_handler on_message, gap_handler on_gap) override;
    [[nodiscard]] time_point fresh_until() const noexcept override;

private:
    struct state;
    std::shared_ptr<state> state_;
    backplane_subscription heard_;
};

}  // namespace levee::testing
