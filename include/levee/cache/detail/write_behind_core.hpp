/// What a write-behind cache consists of besides its cache; shared with the batches that are under way.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/cache/detail/cache_writes.hpp"
#include "levee/cache/detail/callback_gate.hpp"
#include "levee/cache/detail/dead_letters.hpp"
#include "levee/cache/detail/pending_filter.hpp"
#include "levee/cache/detail/pending_writes.hpp"
#include "levee/cache/detail/wait_list.hpp"
#include "levee/cache/detail/write_log.hpp"
#include "levee/cache/detail/write_record.hpp"
#include "levee/cache/write_behind_options.hpp"
#include "levee/cache/write_behind_statistics.hpp"
#include "levee/monitor/histogram.hpp"
#include "levee/store/source.hpp"

namespace levee::cache_detail {

/// Bytes of what a type owns beside itself; 0 where that is not known.
template <class T>
[[nodiscard]] std::size_t owned_bytes(const T& value) {
    if constexpr (requires {
                      value.data();
                      value.size();
                      sizeof(*value.data());
                  }) {
        return value.size() * sizeof(*value.data());
    } else {
        return 0;
    }
}

/// What must still be so, under the key's lock, for a write to be accepted. All empty: nothing.
struct write_condition {
    std::optional<std::uint32_t> writes{};  ///< The count of `writes_of`.
    std::uint64_t letter = 0;               ///< This dead letter is there, and nothing newer than it.
};

/// Writers call `put_blocking` or `async_put`, and wait until what these accepted is durable. Each worker's
/// coroutine runs while it has something to send. What L2 and the peers are told about a key is told by one
/// coroutine at a time (`tell`), so that the news of an older write never overtakes that of a newer one.
///
/// Lock order: a shard's mutex, then the journal's or the dead letters'. No user code, L1, L2 or source under
/// any of them, but for what K and V bring: K's hash, comparison and copy and V's copy under the shard's, K's
/// comparison and the copies of letters under the dead letters'.
///
/// What K and V throw ends a writer's call, and never a worker or a teller: what they were at is tried again.
///
/// Thread safety: safe.
template <class K, class V, class Hash, class Eq>
class write_behind_core : public std::enable_shared_from_this<write_behind_core<K, V, Hash, Eq>> {
public:
    using cache_type = cache_core<K, V, Hash, Eq>;
    using options_type = write_behind_options<K, V>;
    using write = pending_write<V>;
    using slot = pending_slot<K, V>;
    using operations = std::vector<write_op<K, V>>;
    using self_ptr = std::shared_ptr<write_behind_core>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    write_behind_core(std::shared_ptr<cache_type> cache, std::shared_ptr<source<K, V>> to,
                      options_type options);

    /// Opens the journal and takes up what is in it. Before anything else.
    void open();

    [[nodiscard]] const options_type& options() const noexcept { return options_; }
    [[nodiscard]] cache_type& cache() noexcept { return *cache_; }
    [[nodiscard]] const std::shared_ptr<async::scheduler>& time() const noexcept { return time_; }
    [[nodiscard]] const std::shared_ptr<write_log>& log() const noexcept { return log_; }
    [[nodiscard]] dead_letters<K, V, Eq>& letters() noexcept { return letters_; }
    /// As `dead_letters::remove`. Blocks: on the disk.
    bool remove_letter(std::uint64_t id);
    [[nodiscard]] wait_list& changes() noexcept { return changes_; }
    [[nodiscard]] const boost::asio::any_io_executor& flush_executor() const noexcept { return runs_on_; }

    // Reading.

    /// True: a write of the key is pending, and `value` is what it writes; empty: it erases.
    [[nodiscard]] bool find(const K& key, std::optional<V>& value) {
        const std::uint64_t hash = hash_of(key);
        if (!filter_.may_hold(hash) || holes_.pending_read) [[likely]] {
            return false;
        }
        shard& at = shard_of(hash);
        const std::lock_guard lock(at.mutex);
        const slot* held = at.writes.find(key);
        if (held == nullptr) {
            return false;
        }
        value = held->newest().value;
        return true;
    }
    [[nodiscard]] std::uint32_t writes_of(const K& key) const { return filter_.writes(hash_of(key)); }

    // Writing.

    enum class answer : std::uint8_t {
        accepted,
        stale,          ///< A newer version is pending: nothing to do.
        changed,        ///< `only_if` did not hold.
        full,           ///< The key has no slot, and there is no room for another.
        full_of_bytes,  ///< The same, but the key's writes must wait behind those that are pending.
    };
    struct accepted_write {
        answer what = answer::accepted;
        std::uint64_t sequence = 0;
        std::vector<std::uint64_t> older_letters{};  ///< Of one that goes to the source directly.
    };
    [[nodiscard]] write prepare(const K& key, std::optional<V> value, std::uint64_t version) const;
    /// The same for an operation that may outlive the cache: errc::closed after `abandon`.
    [[nodiscard]] write prepare_late(const K& key, std::optional<V> value, std::uint64_t version);
    /// `made` is moved from only if it is accepted, or if this throws.
    [[nodiscard]] accepted_write accept(const K& key, write& made, const write_condition& condition = {});

    /// Accepts, in the way that `full` says; answers the sequence to wait for, or 0. Empty: the condition
    /// does not hold, and nothing was done.
    std::optional<std::uint64_t> put_blocking(const K& key, write made, time_point deadline,
                                              const write_condition& condition = {});
    [[nodiscard]] static awaitable<std::optional<std::uint64_t>> async_put(self_ptr self, K key, write given,
                                                                           time_point deadline,
                                                                           write_condition condition);
    [[nodiscard]] bool must_wait_durable(std::uint64_t sequence) const noexcept {
        return log_ != nullptr && sequence != 0 && !holes_.durable;
    }
    [[nodiscard]] time_point durable_deadline() const {
        return after(time_->now(), options_.durable_timeout);
    }
    void wait_durable(std::uint64_t sequence) {
        if (must_wait_durable(sequence)) {
            log_->wait_durable(sequence, durable_deadline());
        }
    }
    [[nodiscard]] static awaitable<void> async_durable(self_ptr self, std::uint64_t sequence) {
        if (self->must_wait_durable(sequence)) {
            auto waiting = write_log::async_durable(self->log_, sequence, self->durable_deadline());
            co_await std::move(waiting);
        }
    }
    /// All of them: a later record may be safe when an earlier one has failed.
    void wait_durable(std::span<const std::uint64_t> sequences);
    [[nodiscard]] static awaitable<void> async_all_durable(self_ptr self,
                                                           std::vector<std::uint64_t> sequences);

    // Ending.

    [[nodiscard]] std::uint64_t last_sequence() const noexcept {
        return last_sequence_.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool has_up_to(std::uint64_t sequence);
    [[nodiscard]] bool is_abandoned() const noexcept { return is_abandoned_.load(); }
    /// Whatever is accepted was accepted before this returns.
    void refuse_writes() noexcept;
    /// Sends what was accepted up to `sequence`. False: the deadline came first, or the end.
    bool flush(std::uint64_t sequence, time_point deadline);
    [[nodiscard]] static awaitable<bool> async_flush(self_ptr self, std::uint64_t sequence,
                                                     time_point deadline);
    /// Nothing more is sent; what is left goes to the dead letters, or stays in the journal. When this ends,
    /// no function of the user's options is called any more. Throws what copying a key or a value did; that
    /// write alone has no letter then.
    void abandon();
    void check_open() const;
    void check_may_block(const char* what) const;

    [[nodiscard]] write_behind_statistics stats();

private:
    struct shard {
        explicit shard(const schedule_options& options, const write_defences_off& holes)
            : writes(options, holes) {}
        std::mutex mutex;  // guards below, except the last two
        pending_writes<K, V, Hash, Eq> writes;
        bool is_running = false;    // its worker
        bool is_rung = false;       // the bell, since it looked
        time_point sleeps_until{};  // (min)(): it is not asleep
        telling_queue<slot> to_tell{};
        std::size_t tellers = 0;
        time_point timer_at = (time_point::max)();                          // the worker's own
        const std::shared_ptr<wake_up> bell = std::make_shared<wake_up>();  // the worker's
    };
    struct counters {
        std::atomic<std::uint64_t> accepted{0}, coalesced{0}, superseded{0}, stale{0}, flushed{0}, batches{0},
            failed_batches{0}, retried{0}, dead_letters{0}, blocked{0}, rejected{0}, written_through{0},
            replayed{0}, alarms{0};
    };
    static constexpr std::size_t max_tellers = 8;
    static constexpr std::size_t reserved_keys = std::size_t{1} << 20U;  // of a worker, at most: 8 MiB

    // While somebody wants all to be sent, nothing waits for company.
    class hurry {
    public:
        explicit hurry(write_behind_core& of) : of_(of) {
            of_.hurried_.fetch_add(1);
            for (const auto& each : of_.shards_) {
                each->bell->notify();
            }
        }
        ~hurry() { of_.hurried_.fetch_sub(1); }
        hurry(const hurry&) = delete;
        hurry& operator=(const hurry&) = delete;

    private:
        write_behind_core& of_;
    };

    [[nodiscard]] std::uint64_t hash_of(const K& key) const {
        return static_cast<std::uint64_t>(Hash{}(key)) * 0x9e37'79b9'7f4a'7c15U;
    }
    [[nodiscard]] shard& shard_of(std::uint64_t hash) noexcept {
        return *shards_[static_cast<std::size_t>((hash >> 48U) % shards_.size())];
    }
    [[nodiscard]] bool has_peers() const noexcept { return cache_->remote() != nullptr; }
    [[nodiscard]] bool holds(const write_condition& condition, std::uint64_t hash) const {
        return (!condition.writes || filter_.writes(hash) == *condition.writes) &&
               (condition.letter == 0 || letters_.is_newest(condition.letter));
    }
    [[nodiscard]] std::uint64_t number(write& made);
    void forget(std::uint64_t sequence) noexcept;
    void supersede_letters(std::vector<std::uint64_t> ids, std::uint64_t sequence) noexcept;
    [[nodiscard]] bool take_room(std::size_t keys, std::size_t bytes) noexcept;
    void give_room(std::size_t keys, std::size_t bytes) noexcept;
    void note_room_on_disk(journal_options& of);
    [[nodiscard]] bool has_alarm() const noexcept {
        return options_.age_alarm > duration::zero() && options_.on_age_alarm;
    }
    [[nodiscard]] bool is_urgent() const noexcept { return hurried_.load() > 0; }
    struct replayed {
        std::unordered_map<K, std::vector<write>, Hash, Eq> with_letters{};  // to take up, of such keys
        std::vector<dead_letter<K, V>> given_up{};
        std::vector<std::uint64_t> ended{};
    };
    void replay(std::uint64_t sequence, bytes_view record, replayed& all);
    void take_up(const K& key, write made);
    void tell_again(std::vector<dead_letter<K, V>> letters);
    static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
        counter.fetch_add(by, std::memory_order_relaxed);
    }

    // Sending: see write_behind_flush.hpp and write_behind_landing.hpp.
    void wake(shard& at) noexcept;
    void start(shard& at) noexcept;
    [[nodiscard]] static awaitable<void> work(self_ptr self, shard& at);
    enum class turn : std::uint8_t { over, again, asleep };
    [[nodiscard]] static awaitable<turn> send_next(self_ptr self, shard& at);
    [[nodiscard]] std::vector<slot*> keep_strays(shard& at);
    [[nodiscard]] operations operations_of(const write_batch& batch) const;
    [[nodiscard]] write_op<K, V> operation_of(const slot& at) const;
    struct failed_part {
        write_batch batch{};
        write_failure kind = write_failure::retryable;
        std::exception_ptr error{};
    };
    [[nodiscard]] std::vector<failed_part> sort(write_batch batch, const write_report& report,
                                                const std::exception_ptr& whole, std::vector<slot*>& stored);
    [[nodiscard]] static awaitable<void> end_batch(self_ptr self, shard& at, write_batch batch,
                                                   write_report report, std::exception_ptr whole,
                                                   duration took);
    [[nodiscard]] write_failure kind_of(const std::exception_ptr& failure);
    void release(std::span<slot* const> ended) noexcept;
    void end_all(shard& at, std::span<slot* const> ended);
    void land_locked(shard& at, slot& ended);
    void settle_locally(const slot& ended) noexcept;
    [[nodiscard]] static awaitable<void> give_up(self_ptr self, shard& at, slot* lost,
                                                 std::exception_ptr why);
    [[nodiscard]] static awaitable<void> write_off(self_ptr self, shard& at, slot* lost,
                                                   std::exception_ptr why);
    void keep_what_is_left(shard& at, std::exception_ptr& failure) noexcept;
    void call_handler(const dead_letter<K, V>& letter) const noexcept;
    [[nodiscard]] bool tell_lost(const dead_letter<K, V>& letter);

    // Past a full queue: see write_behind_direct.hpp.
    [[nodiscard]] accepted_write begin_direct(shard& at, const K& key, write& made,
                                              const write_condition& condition, slot*& mine);
    void end_direct(shard& at, slot& mine, const write_report& report, std::exception_ptr failure,
                    accepted_write begun);
    [[nodiscard]] answer write_through(const K& key, write& made, const write_condition& condition);
    [[nodiscard]] static awaitable<answer> async_write_through(self_ptr self, K key,
                                                               std::shared_ptr<write> made,
                                                               write_condition condition);

    // Telling: see write_behind_telling.hpp.
    void tell_about(shard& at, slot& about) noexcept;
    void start_tellers(shard& at) noexcept;
    [[nodiscard]] static awaitable<void> tell(self_ptr self, shard& at);
    struct publication {
        std::string name{}, text{};
        remote_entry entry{};
        bool is_to_drop = false;
    };
    [[nodiscard]] publication publication_of(const K& key, const std::optional<V>& value,
                                             std::uint64_t version);
    [[nodiscard]] static awaitable<void> publish(self_ptr self, K key, std::optional<V> value,
                                                 std::uint64_t version);
    [[nodiscard]] static awaitable<void> watch(self_ptr self);
    [[nodiscard]] duration oldest_age();

    const std::shared_ptr<cache_type> cache_;
    const std::shared_ptr<source<K, V>> source_;
    const options_type options_;
    const write_defences_off holes_;
    const boost::asio::any_io_executor runs_on_;  // workers: where the source may be called
    const std::shared_ptr<async::scheduler> time_;
    const std::uint64_t writer_;
    std::vector<std::unique_ptr<shard>> shards_;
    pending_filter filter_;
    std::shared_ptr<write_log> log_;
    dead_letters<K, V, Eq> letters_;
    wait_list changes_;  // rung when something has ended
    const std::shared_ptr<wake_up> watch_bell_ = std::make_shared<wake_up>();  // the one who watches ages
    callback_gate callbacks_;
    std::atomic<std::size_t> keys_{0}, bytes_{0};
    std::atomic<std::uint64_t> last_sequence_{0};
    std::atomic<int> hurried_{0};
    std::atomic<bool> is_closed_{false}, is_abandoned_{false}, is_watching_{false};
    counters counters_;
    std::mutex times_mutex_;  // guards below
    histogram flush_latency_, batch_sizes_;
};

}  // namespace levee::cache_detail

#include "levee/cache/detail/write_behind_accept.hpp"
#include "levee/cache/detail/write_behind_direct.hpp"
#include "levee/cache/detail/write_behind_ending.hpp"
#include "levee/cache/detail/write_behind_flush.hpp"
#include "levee/cache/detail/write_behind_landing.hpp"
#include "levee/cache/detail/write_behind_replay.hpp"
#include "levee/cache/detail/write_behind_telling.hpp"
