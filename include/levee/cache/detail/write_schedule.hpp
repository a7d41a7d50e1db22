/// When which pending writes go to the source: the decisions of write-behind, without I/O, values or locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "levee/cache/write_behind_options.hpp"
#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"
#include "levee/resilience/backoff.hpp"

namespace levee::cache_detail {

// clang-format off
/// Where a key's newest unflushed write stands.
///
/// | place      | what it is                              | next                                               |
/// |------------|-----------------------------------------|----------------------------------------------------|
/// | `none`     | only an older write is on its way       | `ready`, when that one ends                        |
/// | `ready`    | in the queue                            | `flying`                                           |
/// | `flying`   | in a batch that the source has          | gone; `retrying` if it failed; `ready` if a newer  |
/// |            |                                         | write came behind it                               |
/// | `retrying` | in a batch that failed and waits        | `flying`; `ready` if a newer write supersedes it   |
// clang-format on
enum class write_place : std::uint8_t { none, ready, flying, retrying };

/// What the schedule knows of a key with pending writes. At most one of its writes is with the source.
struct write_slot {
    write_place place = write_place::none;
    std::size_t bytes = 0;         ///< Of the waiting write.
    time_point since{};            ///< When the oldest write that this one stands for was accepted.
    write_slot* behind = nullptr;  ///< In the queue: the next one.
};

/// Slots in a row. Allocates nothing.
///
/// Thread safety: unsafe.
class slot_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] write_slot* front() const noexcept { return first_; }
    void push_back(write_slot& one) noexcept {
        one.behind = nullptr;
        (first_ == nullptr ? first_ : last_->behind) = &one;
        last_ = &one;
        ++size_;
    }
    void pop_front() noexcept {
        first_ = first_->behind;
        --size_;
    }

private:
    write_slot* first_ = nullptr;
    write_slot* last_ = nullptr;
    std::size_t size_ = 0;
};

/// Writes that go to the source together, none twice.
struct write_batch {
    std::vector<write_slot*> slots{};
    std::size_t attempts = 0;     ///< Failed ones that count.
    std::size_t refusals = 0;     ///< Others, by a source that took nothing else meanwhile.
    bool is_split = false;        ///< A part of a batch that failed.
    bool is_probe = false;        ///< The part in which it is found out what a refusal is about.
    time_point due{};             ///< Of a waiting one: not before.
    std::uint64_t successes = 0;  ///< The schedule's count when it failed last, or was made.
};

/// The numbers of `write_behind_options` that decide.
struct schedule_options {
    std::size_t batch_size = 256;
    std::size_t batch_bytes = 0;  ///< Zero: no limit.
    duration flush_interval{};
    duration batch_time{};
    std::size_t batch_attempts = 3, max_attempts = 10, permanent_attempts = 1;
    backoff_options backoff{};
    double writes_per_second = 0.0;  ///< Zero: no limit.
    std::uint64_t seed = 0;
};

/// Holes that tests make, to see that they are found. All off: the protocol.
struct write_defences_off {
    bool coalesce = false;      ///< Of two writes of a key that wait, the older wins.
    bool retry = false;         ///< What the source failed is forgotten.
    bool supersede = false;     ///< What failed overwrites the newer write that came meanwhile.
    bool keep_until = false;    ///< The journal's record is released when the batch is taken.
    bool durable = false;       ///< A write is acknowledged before its record is safe.
    bool pending_read = false;  ///< Reads do not look at what is pending.
    bool settle = false;        ///< Nothing is told to L2 and peers after a flush.
    bool replay_order = false;  ///< The replay begins with the newest record.
    bool publish = false;       ///< Nothing is told to L2 and peers before the flush.
};

/// One worker's queue.
///
/// *Refusals.* A source that is not available says nothing about the writes, so while it takes nothing else
/// no attempt counts. But a row may look like that, by what it does to the server. So a batch that was
/// refused `batch_attempts` times is halved, and one of the halves, the probe, again each time: if it is
/// about a row, some part without it goes through soon, and from then on attempts count. There is one probe
/// at a time and the next one begins when that is down to a row, so that a long outage leaves the batches
/// nearly whole.
///
/// Keys are slots that the owner keeps where they are while they are in here.
///
/// *Want of memory* concerns `take` alone, which changes nothing then. What cannot wait for its next attempt
/// for want of memory goes back to the queue, and its attempts begin anew; a batch that cannot be halved
/// waits whole.
///
/// Thread safety: unsafe.
class write_schedule {
public:
    explicit write_schedule(const schedule_options& options);

    /// A write is to go: to the end of the queue. Not in the queue or in a batch already.
    void enqueue(write_slot& slot) noexcept;

    /// A newer write replaced the one that waits: one that waited for another attempt is new again.
    void replaced(write_slot& slot, std::size_t bytes_before) noexcept;

    /// The batch to send now, or none. `is_urgent`: without waiting for company (flush, close). Errors:
    /// std::bad_alloc.
    [[nodiscard]] std::optional<write_batch> take(time_point now, bool is_urgent);

    /// When `take` may answer something, if nothing happens until then; time_point::max(): it cannot.
    [[nodiscard]] time_point next_at(bool is_urgent) const noexcept;

    /// True: one more write made the queue long enough for a batch.
    [[nodiscard]] bool is_full_batch() const noexcept {
        return queue_.size() >= limit_ ||
               (options_.batch_bytes != 0 && queued_bytes_ >= options_.batch_bytes);
    }

    /// The source took (this part of) a batch, or did not answer for it any more.
    void succeeded(std::size_t writes, duration took) noexcept;

    /// What is to be done about writes that failed together and were not superseded.
    enum class verdict : std::uint8_t {
        retry,    ///< They wait in here.
        give_up,  ///< It is one, and its attempts are used up: the caller takes it away.
    };
    [[nodiscard]] verdict failed(write_batch batch, write_failure kind, time_point now) noexcept;

    /// Nobody can take the write that was given up: it waits longer.
    void keep(write_slot& slot, time_point now) noexcept;

    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
    [[nodiscard]] bool is_idle() const noexcept { return queue_.empty() && waiting_.empty(); }
    [[nodiscard]] std::size_t batch_limit() const noexcept { return limit_; }

private:
    [[nodiscard]] bool is_due(time_point now, bool is_urgent) const noexcept;
    [[nodiscard]] write_batch from_queue();
    void wait(write_batch batch, time_point due) noexcept;
    void halve(write_batch batch, time_point due, bool is_probing) noexcept;
    [[nodiscard]] bool may_halve_refused(const write_batch& batch) const noexcept;
    void spend(std::size_t writes, time_point now) noexcept;

    schedule_options options_;
    xoshiro256 random_;
    slot_queue queue_;
    std::size_t queued_bytes_ = 0;
    std::vector<write_batch> waiting_;  // for another attempt
    std::size_t limit_;                 // of a batch now: adaptive
    std::uint64_t successes_ = 0;
    std::size_t refusals_ = 0;   // in a row, of a source that is not available
    time_point paused_until_{};  // then it is asked again
    time_point rate_until_{};    // what was sent uses the rate up to here
    bool was_retry_ = false;     // turns: a waiting batch, one from the queue
};

}  // namespace levee::cache_detail
