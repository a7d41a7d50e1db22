/// A cache's way to its remote store and its peers: timeouts, circuit breaker, marks, and what could not be
/// told yet.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "levee/async/scheduler.hpp"
#include "levee/cache/detail/cache_counters.hpp"
#include "levee/cache/detail/outbox.hpp"
#include "levee/cache/detail/trust.hpp"
#include "levee/cache/remote_options.hpp"
#include "levee/resilience/circuit_breaker.hpp"
#include "levee/store/backplane.hpp"
#include "levee/store/remote_store.hpp"

namespace levee::cache_detail {

/// Holes that tests make, to see that the simulation finds them. All off: the protocol.
struct defences_off {
    bool token_check = false;    ///< A refused fill is put into L2 all the same, and stored in L1.
    bool epoch = false;          ///< A gap changes nothing.
    bool link_time = false;      ///< The link's freshness is not compared at hits.
    bool put_guard = false;      ///< A put is stored in L1 whatever was heard meanwhile.
    bool write_through = false;  ///< A write-through is a store and a put.
    bool replay = false;         ///< Queued removals are forgotten.
    bool local_fence = false;    ///< A load stores in L1 whatever happened to its key.
    bool early_stamp = false;    ///< The marks that a load has seen are noted when it ends.
};

/// What is fixed about a level.
struct remote_level_setup {
    std::string name{};                     ///< Of the cache: the namespace.
    std::shared_ptr<remote_store> store{};  ///< Null: there are only peers.
    std::shared_ptr<backplane> peers{};     ///< Null: there are none that would tell.
    std::shared_ptr<async::scheduler> time{};
    remote_options options{};
    defences_off holes{};
    std::uint64_t seed = 0;  ///< Of the sender's number and of waits; 0: from the system.
};

/// Every function comes for threads that may block and for coroutines. None throws for what the store or the
/// backplane fails: an empty answer says that there was none.
///
/// Thread safety: safe.
class remote_level : public std::enable_shared_from_this<remote_level> {
public:
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    remote_level(remote_level_setup setup, std::shared_ptr<trust> trusted,
                 std::shared_ptr<cache_counters> counters);

    [[nodiscard]] const remote_options& options() const noexcept { return setup_.options; }
    [[nodiscard]] const defences_off& holes() const noexcept { return setup_.holes; }
    [[nodiscard]] const trust& trusted() const noexcept { return *trust_; }
    [[nodiscard]] cache_counters& counters() const noexcept { return *counters_; }
    [[nodiscard]] const std::shared_ptr<async::scheduler>& scheduler() const noexcept { return setup_.time; }
    [[nodiscard]] bool has_store() const noexcept { return setup_.store != nullptr; }
    [[nodiscard]] bool has_peers() const noexcept { return setup_.peers != nullptr; }
    [[nodiscard]] std::uint64_t sender() const noexcept { return sender_; }
    [[nodiscard]] time_point now() const noexcept { return setup_.time->now(); }

    /// The name of a key in the store; empty: too long for it.
    [[nodiscard]] std::string name_of(std::string_view key) const;

    /// Valid as far as is known: by marks, not by time.
    [[nodiscard]] bool is_valid(const remote_entry& entry, std::string_view key) const {
        return !has_marks_ || trust_->marks().is_valid(entry.stamp, key, entry.tags);
    }
    [[nodiscard]] std::uint64_t stamp() const noexcept { return trust_->marks().count(); }

    /// Reads the marks if they are not known, so that `stamp` says something. False: there is no answer.
    bool read_marks();
    awaitable<bool> async_read_marks();

    // Reading and filling. Keys as `name_of` gave them; empty ones get no answer.
    [[nodiscard]] std::optional<std::optional<remote_entry>> get(const std::string& key);
    [[nodiscard]] awaitable<std::optional<std::optional<remote_entry>>> async_get(std::string key);
    /// Of many in one question; in the order of the keys.
    using entries = std::vector<std::optional<remote_entry>>;
    [[nodiscard]] std::optional<entries> get_many(std::vector<std::string> keys);
    [[nodiscard]] awaitable<std::optional<entries>> async_get_many(std::vector<std::string> keys);
    [[nodiscard]] std::optional<lease_answer> lease(const std::string& key, bool even_if_fresh);
    [[nodiscard]] awaitable<std::optional<lease_answer>> async_lease(std::string key, bool even_if_fresh);
    [[nodiscard]] std::optional<bool> fill(const std::string& key, std::uint64_t token, remote_entry entry);
    [[nodiscard]] awaitable<std::optional<bool>> async_fill(std::string key, std::uint64_t token,
                                                            remote_entry entry);
    void release(const std::string& key, std::uint64_t token);
    [[nodiscard]] awaitable<void> async_release(std::string key, std::uint64_t token);
    [[nodiscard]] awaitable<std::optional<bool>> async_extend(std::string key, std::uint64_t token);
    [[nodiscard]] awaitable<void> async_touch(std::string key, duration fresh_left, duration stale_left);

    // Writing. False: not confirmed, and queued as a removal.
    [[nodiscard]] bool put(const std::string& key, remote_entry entry);
    [[nodiscard]] awaitable<bool> async_put(std::string key, remote_entry entry);
    [[nodiscard]] std::optional<bool> put_if_newer(const std::string& key, remote_entry entry);
    [[nodiscard]] awaitable<std::optional<bool>> async_put_if_newer(std::string key, remote_entry entry);
    [[nodiscard]] bool erase(const std::string& key);
    [[nodiscard]] awaitable<bool> async_erase(std::string key);
    [[nodiscard]] bool erase_many(const std::vector<std::string>& keys);
    [[nodiscard]] awaitable<bool> async_erase_many(std::vector<std::string> keys);
    [[nodiscard]] bool expire(const std::string& key);
    [[nodiscard]] awaitable<bool> async_expire(std::string key);
    [[nodiscard]] std::optional<std::uint64_t> begin_write(const std::string& key);
    [[nodiscard]] awaitable<std::optional<std::uint64_t>> async_begin_write(std::string key);

    /// Marks in the store, or for want of one in this process, and tells the peers. False: not confirmed and
    /// queued; it has no number yet, so L1 cannot tell what it covers and is to be emptied. Errors:
    /// errc::unavailable from a store that has no marks.
    [[nodiscard]] bool mark(const std::string& what);
    [[nodiscard]] awaitable<bool> async_mark(std::string what);

    /// Throws errc::unavailable if the store has no marks.
    void check_marks() const;

    /// Tells the peers; what does not get on its way is told later. `key` is the text of the user's key.
    /// False: not told yet.
    bool announce(change what, std::string_view key);
    [[nodiscard]] awaitable<bool> async_announce(change what, std::string key);

    /// A message of another cache of this name about a mark.
    void hear_mark(const backplane_message& message);
    void on_gap() noexcept;

    [[nodiscard]] bool is_own(const backplane_message& message) const noexcept {
        return message.sender == sender_ || message.name_space != setup_.name;
    }

    /// No more repeating of what could not be told.
    void close() noexcept { is_closed_.store(true, std::memory_order_release); }

    [[nodiscard]] std::size_t queued() const noexcept { return outbox_.size(); }
    [[nodiscard]] circuit_state breaker() const { return breaker_.state(setup_.time->now()); }

private:
    template <class F>
    auto ask(F f) -> std::optional<decltype(f())>;
    template <class T, class F>
    awaitable<std::optional<T>> async_ask(F f);
    [[nodiscard]] bool may_read(const std::string& key);
    [[nodiscard]] bool marks_are_due() const noexcept;
    [[nodiscard]] bool learn(const std::optional<remote_marks>& read, time_point began, std::uint64_t gaps);
    bool confirmed(bool was_told, const std::string& key);
    [[nodiscard]] std::vector<std::string> readable(std::vector<std::string>& keys);
    [[nodiscard]] static std::optional<entries> in_order(const std::vector<std::string>& keys,
                                                         std::optional<entries> answers, std::size_t asked);
    [[nodiscard]] bool confirmed(bool was_told, const std::vector<std::string>& keys);
    [[nodiscard]] backplane_message message(change what, std::string name, std::uint64_t count) const;
    void keep_telling();
    [[nodiscard]] static awaitable<void> tell_until_empty(std::shared_ptr<remote_level> self);
    [[nodiscard]] awaitable<bool> tell(outbox::letter letter);
    [[nodiscard]] awaitable<bool> async_publish(backplane_message message);
    void learn_mark(const std::string& what, std::uint64_t number);
    void forget_marks() noexcept;

    const remote_level_setup setup_;
    const std::shared_ptr<trust> trust_;
    const std::shared_ptr<cache_counters> counters_;
    const std::string prefix_;
    const std::uint64_t sender_;
    const bool has_marks_;
    circuit_breaker breaker_;
    outbox outbox_;
    std::atomic<bool> is_telling_{false};
    std::atomic<bool> is_closed_{false};
    std::mutex marks_mutex_;  // guards writing of the two below
    std::atomic<std::uint64_t> gaps_{0};
    std::atomic<time_point::rep> marks_read_at_;  // time_point::min(): read them before anything else
};

}  // namespace levee::cache_detail
