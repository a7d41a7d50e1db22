/// What a write-behind cache is made from, besides the cache's own options.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

#include "levee/core/clock.hpp"
#include "levee/journal/journal_options.hpp"
#include "levee/resilience/backoff.hpp"
#include "levee/store/source.hpp"

namespace levee {

namespace cache_detail {
struct write_defences_off;
}

/// What a write meets when as much is pending as may be.
enum class when_full : std::uint8_t {
    block,          ///< Waits for room until `full_timeout`, then errc::timeout: nothing was accepted.
    write_through,  ///< Goes to the source itself and waits for it, in its key's order.
    reject,         ///< errc::full at once.
};

/// What a failed store says about the write.
enum class write_failure : std::uint8_t {
    unavailable,  ///< The source is not there: nothing is wrong with the write, as far as one can tell.
                  ///< Attempts do not count while nothing else succeeds, so an outage costs nobody his place.
                  ///< A batch that meets this `batch_attempts` times is split: if it was a row that broke
                  ///< the connection, the others go through, and from then on its attempts count.
    retryable,    ///< It may work another time: a deadlock, a lock that was not got, what is not known.
    permanent,    ///< It will not: a constraint, a type, a length.
};

// clang-format off
/// What a failure is by its std::error_code, in whichever category:
///
/// | failure       | codes                                                                                    |
/// |---------------|------------------------------------------------------------------------------------------|
/// | `unavailable` | errc::unavailable, timeout, closed, cancelled; connection errors, timeouts, no space,    |
/// |               | I/O errors of the system; SQLSTATE classes 08, 53, 57, 58 and 25006                      |
/// | `permanent`   | errc::invalid_data, read_only; std::errc::invalid_argument, value_too_large,             |
/// |               | argument_out_of_domain, result_out_of_range; SQLSTATE classes 0A, 21, 22, 23, 42, 44;    |
/// |               | SQLite's CONSTRAINT, MISMATCH and TOOBIG                                                 |
/// | `retryable`   | everything else                                                                          |
///
/// SQLSTATEs are recognised in the category named "postgres.sqlstate", whose values are the five characters
/// in base 36, and SQLite's codes in the category named "sqlite". Of the category "postgres", which is about
/// connections, all are `unavailable`.
// clang-format on
[[nodiscard]] write_failure classify_write_failure(const std::exception_ptr& failure) noexcept;

/// A write that was given up: its attempts are used up, or the cache was closed before they were.
template <class K, class V>
struct dead_letter {
    std::uint64_t id = 0;  ///< For `redrive` and `discard`.
    write_op<K, V> operation;
    std::error_code code{};  ///< Of the last failure; kept by number and name in the store.
    std::string reason{};    ///< Its text.
    bool is_superseded =
        false;  ///< A newer write of the key was accepted since: to redrive it would undo that.
};

/// Defaults suit a service that must not lose what it acknowledged and whose database may be away for a
/// while.
template <class K, class V>
struct write_behind_options {
    // Essential.

    /// How long a write waits for company at most, while the source keeps up. 1 s: long enough that what is
    /// written often is written once. Zero: not at all.
    duration flush_interval = std::chrono::seconds(1);

    /// Keys with pending writes, at most; 8 bytes for each are taken at once, for a million of each worker's,
    /// so that no write waits while a table grows. 10,000. At least 1.
    std::size_t max_pending = 10'000;

    /// What a write does that finds no room: its key has nothing pending and there are `max_pending` others,
    /// or its bytes do not fit into `max_pending_bytes`, or its record into the journal. `write_through` then
    /// waits as `block` does if the key has a write pending, because it must not overtake that, or if it is
    /// the journal that is full: what passes the journal by, its replay could undo.
    when_full full = when_full::block;

    /// How long `block` waits. Zero: as `reject`, but errc::timeout.
    duration full_timeout = std::chrono::seconds(5);

    /// Makes acknowledged writes survive: set it, and `put` returns when its record is as safe as
    /// `journal_options::sync` says; what was not flushed is replayed by the next owner of the folder. Needs
    /// a key_codec and a codec. Dead letters are kept in the folder `dead` in it
    /// (in memory alone with `journal_options::files`). `schedule` is set by the cache; `observer` is told of
    /// the writes' journal and of the letters'.
    std::optional<journal_options> journal{};

    /// How long a write waits for its record in the journal to be safe; then errc::timeout, and the write may
    /// still happen. A blocking writer that syncs for all is held for as long as the disk takes. 5 s. Above
    /// zero.
    duration durable_timeout = std::chrono::seconds(5);

    // Frequent.

    /// Called for each write that is given up, when its letter is kept (`dead_letters`), on the thread that
    /// flushes or closes, under no lock. With a journal at least once: after a crash the next owner calls it
    /// again for those whose record is still there, where it flushes. It must not block for long: `close`
    /// waits for it, 10 s at most. What it throws is ignored. Empty: they are only kept.
    std::function<void(const levee::dead_letter<K, V>&)> on_dead_letter{};

    /// Dead letters kept, for people to look at and redrive. When there are as many, writes are not given up
    /// but wait for `backoff.max` and have all their attempts again. 10,000. At least 1.
    std::size_t max_dead_letters = 10'000;

    /// Batches under way at a time; keys are spread over them by hash. 1: databases with one writer, such as
    /// SQLite. In [1, 64].
    std::size_t workers = 1;

    /// Writes in a batch, at most. 256. In [1, 65536].
    std::size_t batch_size = 256;

    /// Bytes of keys and values in a batch, about, at most: it is sent when that much waits. 4 MiB. 0: no
    /// limit.
    std::size_t batch_bytes = std::size_t{4} << 20U;

    /// A batch that took longer halves the size of the next; quicker ones let it grow again by a sixteenth of
    /// `batch_size`. Zero: always `batch_size`.
    duration batch_time = std::chrono::milliseconds(500);

    /// Writes a second to the source, at most, over all workers. Zero: no limit.
    double max_writes_per_second = 0.0;

    /// Bytes of pending keys and values, about, at most. 64 MiB. At least 1.
    std::size_t max_pending_bytes = std::size_t{64} << 20U;

    /// `age_alarm`: when the oldest pending write is that old, `on_age_alarm` is called with its age, and
    /// again only after it was younger. Called on `executor`, under no lock. Zero: never.
    duration age_alarm{};
    std::function<void(duration oldest)> on_age_alarm{};

    /// How long the destructor flushes. Then, without a journal, what is left goes to the dead letters. 5 s.
    duration close_timeout = std::chrono::seconds(5);

    // Rare.

    /// Waits between attempts of a batch.
    backoff_options backoff{.initial = std::chrono::milliseconds(50), .max = std::chrono::seconds(5)};

    /// Attempts of a whole batch before it is split in two; a permanent failure splits it at once. At
    /// least 1.
    std::size_t batch_attempts = 3;

    /// Attempts of a write that is alone before it is given up. 10. At least 1.
    std::size_t max_attempts = 10;

    /// The same after a permanent failure. 1; more, when what is missing may yet come (a foreign key).
    std::size_t permanent_attempts = 1;

    /// What a failure is. Empty: `classify_write_failure`.
    std::function<write_failure(const std::exception_ptr&)> classify{};

    /// How many bytes a write counts for; called under no lock where the write is made: on the writer's
    /// thread, on `executor` for `async_put_many` and `async_compute`, in the constructor for what is
    /// replayed. Empty: the sizes of the types, and of the characters in strings.
    std::function<std::size_t(const K&, const V&)> size_of{};

    /// This process's number among the writers, in what the journal keeps and in `write_op::writer`. What is
    /// replayed keeps the number of the process that accepted it. Zero: from the system.
    std::uint64_t writer = 0;

    /// Holes in the protocol, for the tests that must find them. Null: none.
    const cache_detail::write_defences_off* holes = nullptr;
};

namespace cache_detail {

/// What does not depend on the types. Throws std::invalid_argument naming the field, its value and its range.
struct write_behind_limits {
    duration flush_interval, full_timeout, durable_timeout, batch_time, age_alarm, close_timeout;
    std::size_t max_pending, max_pending_bytes, max_dead_letters, workers, batch_size, batch_attempts,
        max_attempts, permanent_attempts;
    double max_writes_per_second;
    backoff_options backoff;
};
void validate(const write_behind_limits& limits);

}  // namespace cache_detail

}  // namespace levee
