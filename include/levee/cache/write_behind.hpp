/// Write-behind: writes are acknowledged at once and reach the system of record later, in batches.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "levee/cache/detail/write_behind_async.hpp"
#include "levee/cache/detail/write_behind_core.hpp"
#include "levee/cache/read_through.hpp"
#include "levee/cache/write_behind_options.hpp"
#include "levee/cache/write_behind_statistics.hpp"
#include "levee/store/source.hpp"

namespace levee {

/// A `read_through` cache whose writes do not wait for the source: `put` and `erase` return once the write is
/// queued and, with `write_behind_options::journal`, journaled. Batches carry the newest write of each key to
/// the source.
///
///     levee::write_behind<std::string, std::int64_t> views(source, cache_options,
///                                                          {.journal = {{.folder = "wal"}}});
///     views.compute("/index", [](std::optional<std::int64_t> n) { return std::optional(n.value_or(0) + 1); });
///
/// *Order* (G5): in this process the writes of a key reach the source in the order in which they were
/// accepted, those in between left out; a newer write is not sent while an older one is with the source.
/// Writers in other processes are ordered by `version` alone, and only by a source that compares it: without
/// one, the last flush wins, and a replay after a crash may undo what another process wrote meanwhile. So may
/// what the crashed process had sent last: its server may still be at it when the next owner flushes. Begin
/// again when the server has noticed the end (PostgreSQL: pg_stat_activity), or use versions, which order all
/// but what follows an erasure.
///
/// *Nothing acknowledged is dropped silently*: it is flushed, or it is in the journal (and replayed by the
/// next owner of the folder), or `on_dead_letter` was called with it and it is in `dead_letters`. Without a
/// journal what is pending dies with the process. A write that threw may still happen, unless it threw
/// errc::full, errc::closed, or errc::timeout for want of room.
///
/// *Read your writes*: `get` looks at what is pending first, so that a write is seen whether or not L1 still
/// holds it. With L2, the value is published there soon after the acknowledgement, and peers drop theirs;
/// after the flush it is dropped there, so that the next reader loads what the source made of it, and peers
/// are told again.
///
/// *Failures*: an outage delays everything and costs nothing else, until the queue is full. A write that
/// fails by itself is found by splitting its batch and waits alone; see `write_behind_options` for attempts.
/// A newer write of the key supersedes it.
///
/// *Threads*: none of its own. Batches run on `executor`, or on `blocking_executor` for a source that blocks;
/// the journal's disk work on `blocking_executor` and on the threads of blocking writers; but when a flush
/// has ended what a segment was kept for, the thread that ends it (that of `executor`, for a source that does
/// not block) deletes the segment and syncs the folder. A store is not timed out here, so a source must end
/// its stores by itself, as levee's adapters do; until it does, its keys wait.
///
/// Thread safety: distinct objects: safe; shared objects: safe. Destruction: as `close(close_timeout)`.
/// Executors must outlive it.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class write_behind {
    using core = cache_detail::write_behind_core<K, V, Hash, Eq>;
    using core_ptr = std::shared_ptr<core>;
    using async_forms = cache_detail::write_behind_async<K, V, Hash, Eq>;

public:
    using key_type = K;
    using mapped_type = V;
    using letter = dead_letter<K, V>;

    /// Opens the journal, if there is to be one, and takes up what an earlier owner left in it.
    ///
    /// Blocks: for that. Errors: std::invalid_argument for options out of range, without a source, or without
    /// the executor that its source, or a journal, needs; the journal's; errc::invalid_data for records of
    /// another type.
    write_behind(std::shared_ptr<source<K, V>> to, cache_options<K, V> options,
                 write_behind_options<K, V> behind = {})
        : reads_(to, std::move(options)), core_(make(std::move(to), std::move(behind))) {
        core_->open();
    }
    ~write_behind() {
        try {
            close(core_->options().close_timeout);
        } catch (...) {  // on a thread that must not block: what is left is dealt with as after the deadline
            core_->abandon();
        }
    }
    write_behind(const write_behind&) = delete;
    write_behind& operator=(const write_behind&) = delete;

    /// The value that a pending write gives the key, else the cached one, else the source's. Empty: erased,
    /// or not there.
    ///
    /// Otherwise as `read_through::get`. Cost: one load more, while nothing with a hash like this key's is
    /// pending; else a lock and a look-up.
    [[nodiscard]] std::optional<V> get(const K& key) {
        std::optional<V> value;
        return core_->find(key, value) ? value : reads_.get(key);
    }
    /// From pending writes and L1 alone.
    [[nodiscard]] std::optional<V> try_get(const K& key) {
        std::optional<V> value;
        return core_->find(key, value) ? value : reads_.try_get(key);
    }
    [[nodiscard]] lookup_result<V> lookup(const K& key) {
        std::optional<V> value;
        if (!core_->find(key, value)) {
            return reads_.lookup(key);
        }
        lookup_result<V> found;
        found.state = value ? entry_state::fresh : entry_state::negative;
        found.level = cache_level::local;
        found.value = std::move(value);
        return found;
    }
    /// `get` as an asynchronous operation, `void(std::exception_ptr, std::optional<V>)`.
    template <class Key = K, class Token>
        requires std::is_convertible_v<Key&&, K>
    auto async_get(Key&& key, Token&& token) {
        using result =
            decltype(cache_detail::initiate<V>(std::declval<get_operation>(), token, std::declval<K>()));
        cache_detail::check_key_argument<Key, result>();
        return cache_detail::initiate<V>(get_operation{this, core_}, token, K(std::forward<Key>(key)));
    }

    // Writes. Each returns when the write is acknowledged: queued, and with a journal as safe as its policy
    // says. Errors: what `write_behind_options::full` says, errc::closed; with a journal what it fails, and
    // errc::timeout after `durable_timeout`. Cost without a journal: a look-up and an insertion under a lock.

    /// Replaces the key's value. `version`: a source with a version column takes it only if it is higher; a
    /// write that is older than what is pending is dropped here. 0: none.
    void put(K key, V value, std::uint64_t version = 0) { write(key, std::move(value), version); }

    /// Erases the key.
    void erase(K key, std::uint64_t version = 0) { write(key, std::nullopt, version); }

    /// Some puts, acknowledged together: when all of them are safe. When one of them throws, those before it
    /// were accepted.
    void put_many(std::vector<std::pair<K, V>> entries) {
        std::vector<std::uint64_t> sequences;
        for (auto& entry : entries) {
            sequences.push_back(submit(entry.first, std::move(entry.second), 0));
        }
        core_->wait_durable(sequences);
    }

    /// Reads the key as `get` does, and writes what `f(std::optional<V>)` makes of it: a std::optional<V>,
    /// empty to erase. No write of this process comes in between: when one does, `f` is called again with its
    /// value, so it should do nothing but compute. Returns what was written.
    ///
    /// Blocks: as `get` and `put`. Errors: theirs, and what `f` throws; nothing was written then. Other
    /// processes are not kept out.
    template <class F>
        requires std::is_invocable_r_v<std::optional<V>, F&, std::optional<V>>
    std::optional<V> compute(K key, F f) {
        const time_point deadline = async_forms::full_deadline(*core_);
        for (;;) {
            cache_detail::write_condition unchanged;
            unchanged.writes = core_->writes_of(key);
            std::optional<V> before = get(key);
            const bool was_there = before.has_value();
            std::optional<V> made = f(std::move(before));
            if (!made && !was_there) {
                return made;
            }
            const auto sequence = core_->put_blocking(key, core_->prepare(key, made, 0), deadline, unchanged);
            if (sequence) {
                core_->wait_durable(*sequence);
                return made;
            }
        }
    }

    /// The same as asynchronous operations: `void(std::exception_ptr)`, and for `async_compute`
    /// `void(std::exception_ptr, std::optional<V>)`. A write that is accepted at once is accepted when the
    /// operation is begun. They need `executor`. A cancelled one may have been accepted. This object must
    /// outlive `async_compute`.
    template <class Token>
    auto async_put(K key, V value, Token&& token) {
        return start_write(std::move(key), std::optional<V>(std::move(value)), 0, token);
    }
    template <class Token>
    auto async_put(K key, V value, std::uint64_t version, Token&& token) {
        return start_write(std::move(key), std::optional<V>(std::move(value)), version, token);
    }
    template <class Token>
    auto async_erase(K key, Token&& token) {
        return start_write(std::move(key), std::optional<V>(), 0, token);
    }
    template <class Token>
    auto async_erase(K key, std::uint64_t version, Token&& token) {
        return start_write(std::move(key), std::optional<V>(), version, token);
    }
    template <class Token>
    auto async_put_many(std::vector<std::pair<K, V>> entries, Token&& token) {
        return boost::asio::co_spawn(needed_executor("an asynchronous write"),
                                     async_forms::many(core_, std::move(entries)),
                                     std::forward<Token>(token));
    }
    template <class F, class Token>
        requires std::is_invocable_r_v<std::optional<V>, std::decay_t<F>&, std::optional<V>>
    auto async_compute(K key, F&& f, Token&& token) {
        using function = std::decay_t<F>;
        using result = decltype(boost::asio::co_spawn(
            std::declval<const boost::asio::any_io_executor&>(),
            std::declval<boost::asio::awaitable<std::optional<V>>>(), std::forward<Token>(token)));
        cache_detail::check_loader_argument<F, result>();
        return boost::asio::co_spawn(needed_executor("an asynchronous write"),
                                     async_forms::template computed<function>(&reads_, core_, std::move(key),
                                                                              function(std::forward<F>(f))),
                                     std::forward<Token>(token));
    }

    /// Sends what was accepted before, without waiting for company, and returns when the source has it or it
    /// was given up. False: the deadline came first. Back-off and the rate limit hold.
    ///
    /// Blocks: until then. Errors: errc::would_deadlock on a thread that runs the executors.
    bool flush(duration within) { return flush(after(core_->time()->now(), within)); }
    bool flush(time_point deadline) { return core_->flush(core_->last_sequence(), deadline); }

    /// Refuses further writes (errc::closed), and flushes. False: the deadline came first; then, with a
    /// journal, what is left stays there, and without one it goes to the dead letters. A batch that is with
    /// the source at that moment may still arrive. Reads go on. When it returns, no function of the options
    /// is called any more (it waits for one that is, 10 s at most). Later calls do nothing, and answer true.
    /// Errors: as `flush`; without a journal, what copying a key or value throws: it is closed all the same,
    /// and the writes that could be copied have their letters.
    bool close(duration within) { return close(after(core_->time()->now(), within)); }
    bool close(time_point deadline) {
        core_->refuse_writes();
        const bool is_flushed = core_->is_abandoned() || core_->flush(core_->last_sequence(), deadline);
        core_->abandon();
        return is_flushed;
    }

    /// The same as asynchronous operations, `void(std::exception_ptr, bool)`. A cancelled `async_close` has
    /// refused writes and goes on flushing what was accepted; it is to be closed again.
    template <class Token>
    auto async_flush(duration within, Token&& token) {
        return boost::asio::co_spawn(
            needed_executor("an asynchronous flush"),
            core::async_flush(core_, core_->last_sequence(), after(core_->time()->now(), within)),
            std::forward<Token>(token));
    }
    template <class Token>
    auto async_close(duration within, Token&& token) {
        const auto& executor = needed_executor("an asynchronous close");
        core_->refuse_writes();
        return boost::asio::co_spawn(executor, async_forms::closed(core_, within),
                                     std::forward<Token>(token));
    }

    /// What was given up, the oldest first.
    [[nodiscard]] std::vector<letter> dead_letters() const { return core_->letters().list(); }

    /// Puts a dead letter back into the queue, as `put` or `erase` do, and forgets the letter. False: there
    /// is none of this number, or a newer write of its key was accepted since (`discard` it then). While such
    /// a write is with the source past a full queue, this waits for its end as for room. Blocks and errors:
    /// as `put` and `discard`.
    bool redrive(std::uint64_t id) {
        auto found = core_->letters().find(id);
        if (!found || found->is_superseded) {
            return false;
        }
        cache_detail::write_condition still_newest;
        still_newest.letter = id;
        const K& key = found->operation.key;
        auto made = core_->prepare(key, std::move(found->operation.value), found->operation.version);
        const auto sequence =
            core_->put_blocking(key, std::move(made), async_forms::full_deadline(*core_), still_newest);
        if (!sequence) {
            return false;
        }
        core_->wait_durable(*sequence);
        return core_->remove_letter(id);
    }
    /// Redrives all that can be; how many.
    std::size_t redrive_all() {
        std::size_t count = 0;
        for (const letter& each : dead_letters()) {
            count += redrive(each.id) ? 1 : 0;
        }
        return count;
    }
    /// Forgets a dead letter, and its write. False: there is none of this number.
    ///
    /// Blocks: with letters on the disk, until it is forgotten there. Errors: the journal's (errc::full: the
    /// letter is still there; errc::timeout after `durable_timeout`, or the system's code: the next owner may
    /// find it). With `journal_options::files` letters are in memory, and the next owner may find the write.
    bool discard(std::uint64_t id) { return core_->remove_letter(id); }

    /// Drops the key from the caches; pending writes and the source are not touched.
    reach invalidate(const K& key) { return reads_.invalidate(key); }

    /// The rest of what a cache can do. It does not know of pending writes.
    [[nodiscard]] cache<K, V, Hash, Eq>& underlying() noexcept { return reads_.underlying(); }
    /// The cache's statistics, and those of writing.
    [[nodiscard]] cache_statistics cache_stats() const { return reads_.stats(); }
    [[nodiscard]] write_behind_statistics stats() const { return core_->stats(); }
    [[nodiscard]] const std::string& name() const noexcept { return reads_.name(); }

private:
    struct get_operation {
        write_behind* of;
        core_ptr shared;

        template <class Handler>
        void operator()(Handler&& handler, K key) const {
            std::optional<V> value;
            if (shared->find(key, value)) {
                cache_detail::post_completion<V>(std::forward<Handler>(handler), nullptr, std::move(value));
                return;
            }
            of->reads_.async_get(std::move(key), std::forward<Handler>(handler));
        }
    };

    [[nodiscard]] std::shared_ptr<typename core::cache_type> checked(
        const source<K, V>& to, const write_behind_options<K, V>& behind) {
        const bool source_blocks = to.is_blocking();
        auto cache_core = reads_.underlying().core_;
        const auto& options = cache_core->options();
        if (source_blocks ? !options.blocking_executor : !options.executor) {
            cache_detail::missing_executor(name(), source_blocks ? "blocking_executor" : "executor",
                                           "a write-behind cache over this source");
        }
        if (behind.journal && !options.blocking_executor) {
            cache_detail::missing_executor(name(), "blocking_executor", "a journal");
        }
        return cache_core;
    }

    [[nodiscard]] core_ptr make(std::shared_ptr<source<K, V>> to, write_behind_options<K, V> behind) {
        auto caches = checked(*to, behind);
        return std::make_shared<core>(std::move(caches), std::move(to), std::move(behind));
    }

    [[nodiscard]] const boost::asio::any_io_executor& needed_executor(const char* what) {
        const auto& executor = core_->cache().options().executor;
        if (!executor) {
            cache_detail::missing_executor(name(), "executor", what);
        }
        return executor;
    }

    std::uint64_t submit(const K& key, std::optional<V> value, std::uint64_t version) {
        return core_
            ->put_blocking(key, core_->prepare(key, std::move(value), version),
                           async_forms::full_deadline(*core_))
            .value_or(0);
    }
    void write(const K& key, std::optional<V> value, std::uint64_t version) {
        core_->wait_durable(submit(key, std::move(value), version));
    }

    template <class Token>
    auto start_write(K key, std::optional<V> value, std::uint64_t version, Token& token) {
        static_cast<void>(needed_executor("an asynchronous write"));
        auto made = core_->prepare(key, std::move(value), version);
        return boost::asio::async_initiate<Token, void(std::exception_ptr)>(
            typename async_forms::write_operation{core_}, token, std::move(key), std::move(made));
    }

    read_through<K, V, Hash, Eq> reads_;
    core_ptr core_;
};

}  // namespace levee
