#include "levee/cache/detail/write_schedule.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

namespace levee::cache_detail {

write_schedule::write_schedule(const schedule_options& options)
    : options_(options), random_(options.seed), limit_(options.batch_size) {}

void write_schedule::enqueue(write_slot& slot) noexcept {
    queue_.push_back(slot);
    queued_bytes_ += slot.bytes;
    slot.place = write_place::ready;
}

void write_schedule::replaced(write_slot& slot, std::size_t bytes_before) noexcept {
    if (slot.place == write_place::ready) {
        queued_bytes_ += slot.bytes;
        queued_bytes_ -= bytes_before;
        return;
    }
    if (slot.place != write_place::retrying) {
        return;
    }
    for (auto batch = waiting_.begin(); batch != waiting_.end(); ++batch) {
        const auto at = std::find(batch->slots.begin(), batch->slots.end(), &slot);
        if (at != batch->slots.end()) {
            batch->slots.erase(at);
            if (batch->slots.empty()) {
                waiting_.erase(batch);
            }
            break;
        }
    }
    enqueue(slot);
}

bool write_schedule::is_due(time_point now, bool is_urgent) const noexcept {
    return !queue_.empty() &&
           (is_urgent || is_full_batch() || after(queue_.front()->since, options_.flush_interval) <= now);
}

std::optional<write_batch> write_schedule::take(time_point now, bool is_urgent) {
    if (now < paused_until_ || now < rate_until_) {
        return std::nullopt;
    }
    const auto earliest = std::min_element(waiting_.begin(), waiting_.end(),
                                           [](const auto& a, const auto& b) { return a.due < b.due; });
    const bool may_retry = earliest != waiting_.end() && earliest->due <= now;
    const bool may_send = is_due(now, is_urgent);
    std::optional<write_batch> batch;
    if (may_retry && (!may_send || !was_retry_)) {
        batch = std::move(*earliest);
        waiting_.erase(earliest);
        was_retry_ = true;
    } else if (may_send) {
        batch = from_queue();
        was_retry_ = false;
    }
    if (batch) {
        for (write_slot* slot : batch->slots) {
            slot->place = write_place::flying;
        }
        spend(batch->slots.size(), now);
    }
    return batch;
}

write_batch write_schedule::from_queue() {
    write_batch batch;
    std::size_t bytes = 0;
    batch.slots.reserve(std::min(queue_.size(), limit_));
    while (!queue_.empty() && batch.slots.size() < limit_) {
        write_slot* slot = queue_.front();
        if (!batch.slots.empty() && options_.batch_bytes != 0 && bytes + slot->bytes > options_.batch_bytes) {
            break;
        }
        bytes += slot->bytes;
        batch.slots.push_back(slot);
        queue_.pop_front();
    }
    queued_bytes_ -= bytes;
    batch.successes = successes_;
    return batch;
}

// The rate is kept on average over a second: a batch is sent whole, and what it took too much is waited for.
void write_schedule::spend(std::size_t writes, time_point now) noexcept {
    if (options_.writes_per_second > 0.0) {
        const auto cost = std::chrono::duration_cast<duration>(
            std::chrono::duration<double>(static_cast<double>(writes) / options_.writes_per_second));
        rate_until_ = after(std::max(rate_until_, now), cost);
    }
}

time_point write_schedule::next_at(bool is_urgent) const noexcept {
    time_point at = (time_point::max)();
    if (!queue_.empty()) {
        at = is_urgent || is_full_batch() ? (time_point::min)()
                                          : after(queue_.front()->since, options_.flush_interval);
    }
    for (const write_batch& batch : waiting_) {
        at = std::min(at, batch.due);
    }
    return at == (time_point::max)() ? at : std::max({at, paused_until_, rate_until_});
}

void write_schedule::succeeded(std::size_t writes, duration took) noexcept {
    if (writes > 0) {
        successes_ += writes;
        refusals_ = 0;
        paused_until_ = {};
    }
    if (options_.batch_time <= duration::zero()) {
        return;
    }
    if (took > options_.batch_time) {
        limit_ = std::max<std::size_t>(1, std::min(limit_, std::max<std::size_t>(writes, 1)) / 2);
    } else if (writes >= limit_) {
        limit_ = std::min(options_.batch_size, limit_ + std::max<std::size_t>(1, options_.batch_size / 16));
    }
}

auto write_schedule::failed(write_batch batch, write_failure kind, time_point now) noexcept -> verdict {
    const bool is_outage = kind == write_failure::unavailable;
    if (is_outage) {
        // The whole source is left alone for a while; its queue and its other batches get turns after that.
        const duration pause = backoff_delay(options_.backoff, refusals_++, uniform_unit(random_));
        paused_until_ = after(now, pause);
    }
    const bool counts = !is_outage || successes_ != batch.successes;
    ++(counts ? batch.attempts : batch.refusals);
    const bool is_alone = batch.slots.size() == 1;
    const std::size_t limit =
        kind == write_failure::permanent
            ? (is_alone ? options_.permanent_attempts : 1)
            : (is_alone ? options_.max_attempts : (batch.is_split ? 1 : options_.batch_attempts));
    if (!counts) {
        if (may_halve_refused(batch)) {
            halve(std::move(batch), now, true);
        } else {
            wait(std::move(batch), now);
        }
        return verdict::retry;
    }
    if (batch.attempts < limit) {
        const duration delay = backoff_delay(options_.backoff, batch.attempts - 1, uniform_unit(random_));
        wait(std::move(batch), after(now, delay));
        return verdict::retry;
    }
    if (is_alone) {
        return verdict::give_up;
    }
    halve(std::move(batch), now, false);
    return verdict::retry;
}

bool write_schedule::may_halve_refused(const write_batch& batch) const noexcept {
    return batch.slots.size() > 1 &&
           (batch.is_probe || (batch.refusals >= options_.batch_attempts &&
                               std::none_of(waiting_.begin(), waiting_.end(), [](const auto& each) {
                                   return each.is_probe && each.slots.size() > 1;
                               })));
}

void write_schedule::halve(write_batch batch, time_point due, bool is_probing) noexcept {
    write_batch half{.is_split = true};
    const auto middle = batch.slots.begin() + static_cast<std::ptrdiff_t>(batch.slots.size() / 2);
    try {
        half.slots.assign(middle, batch.slots.end());
    } catch (const std::bad_alloc&) {
        wait(std::move(batch), due);
        return;
    }
    batch.slots.erase(middle, batch.slots.end());
    batch.is_split = true;
    batch.attempts = batch.refusals = 0;
    batch.is_probe = is_probing;
    wait(std::move(batch), due);
    wait(std::move(half), due);
}

void write_schedule::keep(write_slot& slot, time_point now) noexcept {
    write_batch alone{.is_split = true};
    try {
        alone.slots.push_back(&slot);
    } catch (const std::bad_alloc&) {
        enqueue(slot);
        return;
    }
    wait(std::move(alone), after(now, options_.backoff.max));
}

void write_schedule::wait(write_batch batch, time_point due) noexcept {
    try {
        waiting_.reserve(waiting_.size() + 1 <= waiting_.capacity() ? 0 : 2 * waiting_.size() + 1);
    } catch (const std::bad_alloc&) {
        for (write_slot* slot : batch.slots) {
            enqueue(*slot);
        }
        return;
    }
    waiting_.push_back(std::move(batch));
    write_batch& kept = waiting_.back();
    kept.due = due;
    kept.successes = successes_;
    for (write_slot* slot : kept.slots) {
        slot->place = write_place::retrying;
    }
}

}  // namespace levee::cache_detail
