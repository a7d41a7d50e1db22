/// Listening to channels of Redis.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/redis/client.hpp"

namespace levee::redis {

namespace detail {
class subscription;
}

/// What was published; valid while the handler runs.
struct published {
    std::string_view channel;
    std::string_view payload;
    std::string_view
        pattern;  ///< What matched, of `subscriber_options::patterns`; empty: a channel's own name.
};

struct subscriber_options {
    std::vector<std::string> channels{};
    std::vector<std::string> patterns{};  ///< With *, ? and […]. One channel or pattern at least.

    /// Called for each message, in the order of the server, one at a time, on the client's executor. It must
    /// not block, nor end the subscriber. What it throws is ignored. Required.
    std::function<void(const published&)> on_message{};

    /// Called when the subscription stands again after its connection was lost: messages may have been
    /// missed up to now. As `on_message`, and never at the same time. Empty: nobody.
    std::function<void()> on_gap{};

    /// `on_gap` is called when the subscription first stands, too: for who took it that it already did.
    bool tells_first = false;

    /// How often the server is asked for a sign of life, and how long that may take before the connection is
    /// made anew. Above zero.
    duration ping_interval = std::chrono::seconds(3);
    duration ping_timeout = std::chrono::seconds(2);
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const subscriber_options& options);

/// A subscription on a connection of its own, which is made anew whenever it breaks.
///
///     redis::subscriber news(db, {.channels = {"news"}, .on_message = [](const redis::published& one) { …
///     }});
///
/// Redis keeps nothing for who is not there: what is published while the connection is broken is lost, and
/// `on_gap` tells so.
///
/// Thread safety: safe on a shared object, apart from destruction.
class subscriber {
public:
    /// Uses the address, user and time-outs of `from`, which may be destroyed before it. Returns before
    /// anything is subscribed. Errors: std::invalid_argument.
    subscriber(const client& from, subscriber_options options);

    /// Once it has returned no handler runs or will run. Blocks: while one runs.
    ~subscriber();
    subscriber(subscriber&&) noexcept = default;
    subscriber& operator=(subscriber&&) = delete;

    [[nodiscard]] bool is_subscribed() const;

    /// Waits until it is subscribed; false: the time is over. Blocks: until then. Errors:
    /// levee::errc::would_deadlock on a thread that runs the client's executor.
    [[nodiscard]] bool wait_subscribed(duration timeout) const;

    /// When the last PING that was answered was sent: all that was published before then has been heard, or
    /// a gap told. `time_point::min()`: none was, since the subscription last began to stand.
    [[nodiscard]] time_point alive_at() const noexcept;

private:
    std::shared_ptr<detail::subscription> state_;
};

}  // namespace levee::redis
