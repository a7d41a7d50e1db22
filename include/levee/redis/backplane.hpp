/// How caches of several processes hear of each other's changes through Redis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "levee/redis/client.hpp"
#include "levee/store/backplane.hpp"

namespace levee::redis {

namespace detail {
class backplane_core;
}

struct backplane_options {
    /// What all processes that belong together publish to and listen on. Messages of every cache go through
    /// it: each cache takes those of its name. Not empty.
    std::string channel = "levee";

    /// How often the subscription is asked for a sign of life, and how long that may take until the
    /// connection is made anew. Together they bound for how long a cut link looks fresh. Above zero.
    duration ping_interval = std::chrono::seconds(3);
    duration ping_timeout = std::chrono::seconds(2);

    /// Keys and marks whose message could not be sent and is tried again, the newest of each; with more, the
    /// others are told to take it that everything has changed. 10,000. At least 1.
    std::size_t max_unsent = 10'000;
};

/// Throws std::invalid_argument, naming field, value and range, if a field is out of its range.
void validate(const backplane_options& options);

/// Of one link. Counts never go back.
struct backplane_stats {
    std::uint64_t sent = 0;     ///< Published, those tried again included.
    std::uint64_t failed = 0;   ///< Publications that failed.
    std::uint64_t heard = 0;    ///< Messages, one's own included.
    std::uint64_t foreign = 0;  ///< What others publish on the channel and is not levee's: ignored.
    std::uint64_t gaps = 0;     ///< Told to the subscribers.
    std::size_t unsent = 0;     ///< What waits now to be tried again.
};

/// A link by Redis' pub/sub, on a connection of its own; publications go over the client's.
///
///     const auto bus = std::make_shared<redis::backplane>(db);
///     levee::cache<std::string, product> products({.name = "products", .remote = shared, .backplane = bus,
///     …});
///
/// Redis keeps nothing for who is not there, and delivers at most once. So a gap is told
/// - when the subscription stands again after a break, and when it first stands, to who subscribed before;
/// - when a message's number is not the next of its link: each process numbers what it sends;
/// - for messages of levee that cannot be read (damaged, or of another version);
/// - when a process says that it has lost track of what it could not send.
///
/// `fresh_until` is when the last answered PING was sent plus interval and timeout; the answer comes behind
/// all that was published before. While the subscription does not stand it is `time_point::min()`.
///
/// A message that could not be sent is kept and tried again, with the client's waits between attempts, until
/// it, or a later one on the same key, has been sent; `publish` throws all the same: nobody has been told
/// yet. `change::filled` is not kept: who waits for a load looks again by itself.
///
/// Thread safety: safe, apart from destruction. Handlers run on the client's executor, one at a time.
/// Blocks: `publish`, until Redis has it, for the client's `command_timeout` at most. The executor does the
/// sending, so that messages stay in order: it needs a thread, and on its threads `publish` refuses
/// (levee::errc::would_deadlock). Errors: of `publish`, as `redis::store`.
class backplane final : public levee::backplane {
public:
    explicit backplane(std::shared_ptr<client> over, const backplane_options& options = {});

    /// Blocks: while a handler runs. What is unsent is dropped.
    ~backplane() override;
    backplane(const backplane&) = delete;
    backplane& operator=(const backplane&) = delete;

    void publish(backplane_message message) override;
    [[nodiscard]] boost::asio::awaitable<void> async_publish(backplane_message message) override;
    [[nodiscard]] backplane_subscription subscribe(message_handler on_message, gap_handler on_gap) override;
    [[nodiscard]] time_point fresh_until() const noexcept override;

    /// Waits until the subscription stands; false: the time is over. Blocks: until then. Errors:
    /// levee::errc::would_deadlock.
    [[nodiscard]] bool wait_subscribed(duration timeout) const;

    [[nodiscard]] backplane_stats stats() const;

private:
    std::shared_ptr<detail::backplane_core> core_;
};

}  // namespace levee::redis
