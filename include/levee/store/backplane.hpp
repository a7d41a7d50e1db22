/// How caches of several processes tell each other what changed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/core/clock.hpp"

namespace levee {

/// What happened to a key or to a namespace.
enum class change : std::uint8_t {
    invalidated,  ///< `name` is a key whose value, reserve included, is to be dropped.
    expired,      ///< `name` is a key whose value is stale from now on.
    filled,       ///< `name` is a key that was loaded into the remote store: who waits for it, look.
    marked,       ///< `name` was marked with `count`: see `remote_marks`.
};

/// What one cache tells the others.
struct backplane_message {
    change what = change::invalidated;
    std::string name_space{};
    std::string name{};
    std::uint64_t count = 0;   ///< Of a mark; else 0.
    std::uint64_t sender = 0;  ///< The cache that sent it, which ignores its own; drawn at random by it.
};

/// A subscription: its end is the end of the calls.
class backplane_subscription {
public:
    backplane_subscription() = default;

    /// `end` is called once, by `reset` or the destructor.
    explicit backplane_subscription(std::function<void()> end) : end_(std::move(end)) {}
    backplane_subscription(backplane_subscription&& other) noexcept
        : end_(std::exchange(other.end_, nullptr)) {}
    backplane_subscription& operator=(backplane_subscription&& other) noexcept {
        if (this != &other) {
            reset();
            end_ = std::exchange(other.end_, nullptr);
        }
        return *this;
    }
    ~backplane_subscription() { reset(); }

    /// Ends it: once it has returned no handler runs or will run. Blocks: while one runs. Must not be
    /// called from a handler of its own.
    void reset() noexcept {
        if (auto end = std::exchange(end_, nullptr)) {
            end();
        }
    }

private:
    std::function<void()> end_{};
};

/// A link over which caches publish what changed, and hear what others published.
///
/// Messages of one sender come in their order; a message may come twice, and the sender hears its own. None
/// is lost without a call of the gap handler, or `fresh_until` falling behind. Who missed messages assumes
/// that everything has changed.
///
/// Thread safety: every function is called from any thread, concurrently. Handlers are called from any
/// thread, also concurrently for messages of different senders; they must not block.
/// Errors: levee::error from `publish` if the message did not get on its way.
class backplane {
public:
    using message_handler = std::function<void(const backplane_message&)>;
    using gap_handler = std::function<void()>;  ///< Messages may have been missed up to now.

    virtual ~backplane() = default;

    [[nodiscard]] virtual boost::asio::awaitable<void> async_publish(backplane_message message) = 0;

    /// Blocks: until it is on its way. The default drives `async_publish` on the calling thread.
    virtual void publish(backplane_message message) {
        async::run_on_this_thread(async_publish(std::move(message)));
    }

    /// From now on messages go to `on_message`. The backplane must outlive the subscription.
    [[nodiscard]] virtual backplane_subscription subscribe(message_handler on_message,
                                                           gap_handler on_gap) = 0;

    /// Until when this process may take it that it has heard all that was sent: a little after the link
    /// last showed that it works. `time_point::max()` for a link that cannot break. Cost: some ns.
    [[nodiscard]] virtual time_point fresh_until() const noexcept = 0;

protected:
    backplane() = default;
    backplane(const backplane&) = default;
    backplane& operator=(const backplane&) = default;
};

}  // namespace levee
