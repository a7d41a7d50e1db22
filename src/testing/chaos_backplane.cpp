#include "levee/testing/chaos_backplane.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/store/memory_backplane.hpp"
#include "testing/chaos_check.hpp"

namespace levee::testing {

namespace asio = boost::asio;
using namespace testing_detail;

namespace {

void check(const chaos_backplane_options& options) {
    const std::string type = "chaos_backplane_options::";
    check_not_negative(type + "delivery_delay", options.delivery_delay);
    check_not_negative(type + "publish_delay", options.publish_delay);
    check_not_negative(type + "reconnect_delay", options.reconnect_delay);
    check_above_zero(type + "ping_interval", options.ping_interval);
    check_above_zero(type + "ping_timeout", options.ping_timeout);
    check_share(type + "refuse", options.refuse);
    check_share(type + "lose_receipt", options.lose_receipt);
    check_share(type + "duplicate", options.duplicate);
    check_share(type + "break_link", options.break_link);
    check_share(type + "drop", options.drop);
    check_sum(type + "refuse and lose_receipt", options.refuse + options.lose_receipt);
}

struct pending_message {
    backplane_message message;
    time_point arrived, due;
};

// What one sender sent, in its order. One at a time delivers: a thread or a coroutine.
struct lane {
    std::deque<pending_message> waiting{};
    bool is_served = false;      // somebody delivers, or waits for the first one's time
    bool is_in_handler = false;  // the first one is being heard
};

}  // namespace

struct chaos_backplane::state {
    state(std::shared_ptr<backplane> to, std::shared_ptr<async::scheduler> waits,
          const chaos_backplane_options& given)
        : inner(std::move(to)),
          time(std::move(waits)),
          ping_interval(given.ping_interval),
          ping_timeout(given.ping_timeout),
          options(given),
          random(given.seed),
          made_at(time->now()) {}

    const std::shared_ptr<backplane> inner;
    const std::shared_ptr<async::scheduler> time;
    const duration ping_interval, ping_timeout;
    memory_backplane heard{};  // to this node's subscribers

    mutable std::mutex mutex{};  // guards all below
    chaos_backplane_options options;
    xoshiro256 random;
    chaos_backplane_counts counts{};
    std::map<std::uint64_t, lane> lanes{};
    chaos_link link = chaos_link::works;
    bool is_closed = false;
    bool is_listening = true;              // false: what comes is lost
    time_point made_at;                    // the link; its pings are counted from here
    std::optional<time_point> lost_since;  // since when messages may have been missed without a gap report
    std::uint64_t cuts = 0;
    std::optional<time_point> stalled_since;
    bool has_gap_to_tell = false;  // once it is no longer stalled

    [[nodiscard]] duration up_to_locked(duration most) {
        return duration(
            static_cast<duration::rep>(uniform_below(random, static_cast<std::uint64_t>(most.count()) + 1)));
    }

    [[nodiscard]] time_point heard_until_locked() const noexcept {
        time_point until = time->now();
        for (const auto& [sender, each] : lanes) {
            if (!each.waiting.empty()) {
                until = std::min(until, each.waiting.front().arrived);
            }
        }
        until = lost_since ? std::min(until, *lost_since) : until;
        return stalled_since ? std::min(until, *stalled_since) : until;
    }

    // What is on its way is lost. What is being heard is not.
    void cut_locked() {
        const time_point since = heard_until_locked();
        lost_since = lost_since ? std::min(*lost_since, since) : since;
        is_listening = false;
        ++cuts;
        for (auto& [sender, each] : lanes) {
            const auto keep = each.waiting.begin() + (each.is_in_handler ? 1 : 0);
            counts.lost += static_cast<std::uint64_t>(each.waiting.end() - keep);
            each.waiting.erase(keep, each.waiting.end());
        }
    }

    static void receive(const std::shared_ptr<state>& self, const backplane_message& message) {
        lane* to = nullptr;
        std::optional<std::uint64_t> cut;
        duration reconnect_delay{};
        {
            const std::lock_guard lock(self->mutex);
            if (self->is_closed) {
                return;
            }
            // Always as many draws, so that one fault does not change the later ones.
            const chaos_backplane_options& options = self->options;
            const duration first = self->up_to_locked(options.delivery_delay);
            const duration second = self->up_to_locked(options.delivery_delay);
            reconnect_delay = self->up_to_locked(options.reconnect_delay);
            const bool is_twice = uniform_unit(self->random) < options.duplicate;
            const bool breaks = uniform_unit(self->random) < options.break_link;
            const bool is_dropped = uniform_unit(self->random) < options.drop;
            if (!self->is_listening || is_dropped) {
                ++self->counts.lost;
                return;
            }
            const time_point now = self->time->now();
            if (breaks) {
                ++self->counts.breaks;
                ++self->counts.lost;
                self->cut_locked();
                cut = self->cuts;
            } else {
                to = &self->lanes[message.sender];
                to->waiting.push_back({message, now, after(now, first)});
                if (is_twice) {
                    ++self->counts.duplicated;
                    to->waiting.push_back({message, now, after(now, second)});
                }
            }
        }
        if (cut) {
            asio::co_spawn(self->time->executor(), reconnect_after(self, reconnect_delay, *cut),
                           asio::detached);
        } else {
            serve(self, *to);
        }
    }

    // Delivers what is due, unless somebody else does; a coroutine goes on with what is not.
    static void serve(const std::shared_ptr<state>& self, lane& from) {
        {
            const std::lock_guard lock(self->mutex);
            if (std::exchange(from.is_served, true)) {
                return;
            }
        }
        if (const auto next = self->deliver_due(from)) {
            asio::co_spawn(self->time->executor(), serve_later(self, from, *next), asio::detached);
        }
    }

    static asio::awaitable<void> serve_later(std::shared_ptr<state> self, lane& from, time_point due) {
        for (std::optional<time_point> next = due; next; next = self->deliver_due(from)) {
            co_await self->time->sleep_until(*next);
        }
    }

    // When the next one is due; empty: there is none, and the lane is no longer served.
    [[nodiscard]] std::optional<time_point> deliver_due(lane& from) {
        std::unique_lock lock(mutex);
        for (;;) {
            if (is_closed || from.waiting.empty() || stalled_since) {
                from.is_served = false;
                return std::nullopt;
            }
            if (from.waiting.front().due > time->now()) {
                return from.waiting.front().due;
            }
            from.is_in_handler = true;
            ++counts.heard;
            const backplane_message message = from.waiting.front().message;
            lock.unlock();
            try {
                heard.publish(message);
            } catch (...) {
                // As of a thread that reads a socket: nobody to tell.
            }
            lock.lock();
            from.is_in_handler = false;
            from.waiting.pop_front();
        }
    }

    void tell_gap() {
        {
            const std::lock_guard lock(mutex);
            if (is_closed) {
                return;
            }
            if (stalled_since) {
                has_gap_to_tell = true;
                return;
            }
        }
        report_gap();
    }

    void report_gap() {
        {
            const std::lock_guard lock(mutex);
            ++counts.gaps;
        }
        try {
            heard.report_gap();
        } catch (...) {
            // As above.
        }
    }

    // Listens first, tells the gap then, and is fresh last: so nothing is missed in between.
    void reconnect(std::uint64_t cut) {
        {
            const std::lock_guard lock(mutex);
            if (is_closed || cuts != cut || link != chaos_link::works) {
                return;
            }
            is_listening = true;
            if (stalled_since) {
                has_gap_to_tell = true;
                return;
            }
        }
        tell_gap();
        be_fresh(cut);
    }

    void be_fresh(std::uint64_t cut) {
        const std::lock_guard lock(mutex);
        if (cuts == cut && is_listening && lost_since) {
            lost_since.reset();
            made_at = time->now();
        }
    }

    static asio::awaitable<void> reconnect_after(std::shared_ptr<state> self, duration delay,
                                                 std::uint64_t cut) {
        if (delay > duration::zero()) {
            co_await self->time->sleep_until(after(self->time->now(), delay));
        }
        self->reconnect(cut);
    }

    // The gap first: while it is not told, nothing may look fresh.
    static void unstall(const std::shared_ptr<state>& self) {
        std::vector<lane*> all;
        std::unique_lock lock(self->mutex);
        const std::uint64_t cut = self->cuts;
        const bool had_gap = std::exchange(self->has_gap_to_tell, false);
        if (had_gap) {
            lock.unlock();
            self->report_gap();
            lock.lock();
        }
        self->stalled_since.reset();
        for (auto& [sender, each] : self->lanes) {
            all.push_back(&each);
        }
        lock.unlock();
        if (had_gap) {
            self->be_fresh(cut);
        }
        for (lane* const each : all) {
            serve(self, *each);
        }
    }
};

chaos_backplane::chaos_backplane(std::shared_ptr<backplane> inner, std::shared_ptr<async::scheduler> time,
                                 const chaos_backplane_options& options) {
    check(options);
    if (inner == nullptr || time == nullptr) {
        refuse("chaos_backplane's inner backplane or scheduler", "null", "there");
    }
    state_ = std::make_shared<state>(std::move(inner), std::move(time), options);
    heard_ = state_->inner->subscribe(
        [to = state_](const backplane_message& message) { state::receive(to, message); },
        [to = state_] { to->tell_gap(); });
}

chaos_backplane::~chaos_backplane() {
    heard_.reset();
    const std::lock_guard lock(state_->mutex);
    state_->is_closed = true;
}

void chaos_backplane::set_options(const chaos_backplane_options& options) {
    check(options);
    const std::lock_guard lock(state_->mutex);
    state_->options = options;
}

void chaos_backplane::set_link(chaos_link link) {
    std::uint64_t cut = 0;
    {
        const std::lock_guard lock(state_->mutex);
        state_->link = link;
        if (link != chaos_link::works) {
            state_->cut_locked();
            return;
        }
        if (state_->is_listening) {
            return;
        }
        cut = state_->cuts;
    }
    state_->reconnect(cut);
}

void chaos_backplane::set_stalled(bool stalled) {
    if (!stalled) {
        state::unstall(state_);
        return;
    }
    const std::lock_guard lock(state_->mutex);
    if (!state_->stalled_since) {
        state_->stalled_since = state_->heard_until_locked();
    }
}

chaos_backplane_counts chaos_backplane::counts() const {
    const std::lock_guard lock(state_->mutex);
    return state_->counts;
}

boost::asio::awaitable<void> chaos_backplane::async_publish(backplane_message message) {
    const std::shared_ptr<state> self = state_;
    duration delay{};
    bool is_refused = false;
    bool loses_receipt = false;
    chaos_link link = chaos_link::works;
    {
        const std::lock_guard lock(self->mutex);
        link = self->link;
        delay = self->up_to_locked(self->options.publish_delay);
        const double drawn = uniform_unit(self->random);
        is_refused = link == chaos_link::refuses || drawn < self->options.refuse;
        loses_receipt = !is_refused && drawn < self->options.refuse + self->options.lose_receipt;
        ++self->counts.published;
        self->counts.refused += is_refused ? 1 : 0;
        self->counts.lost_receipts += loses_receipt ? 1 : 0;
    }
    try {
        if (link == chaos_link::is_silent) {
            co_await self->time->sleep_until((time_point::max)());  // until cancelled
        }
        if (!is_refused) {
            auto work = self->inner->async_publish(std::move(message));
            co_await std::move(work);
        }
        if (delay > duration::zero()) {
            co_await self->time->sleep_until(after(self->time->now(), delay));
        }
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) {
            throw;
        }
        throw error(errc::cancelled);
    }
    if (is_refused) {
        throw error(errc::unavailable, "chaos: not published");
    }
    if (loses_receipt) {
        throw error(errc::timeout, "chaos: the receipt was lost");
    }
}

backplane_subscription chaos_backplane::subscribe(message_handler on_message, gap_handler on_gap) {
    return state_->heard.subscribe(std::move(on_message), std::move(on_gap));
}

time_point chaos_backplane::fresh_until() const noexcept {
    const time_point of_inner = state_->inner->fresh_until();
    const std::lock_guard lock(state_->mutex);
    const time_point heard_until = state_->heard_until_locked();
    const duration since = std::max(heard_until - state_->made_at, duration::zero());
    const time_point pinged = heard_until - since % state_->ping_interval;
    return std::min(of_inner, after(pinged, state_->ping_interval + state_->ping_timeout));
}

}  // namespace levee::testing
