// Writes that find no room and go to the source themselves: bodies of write_behind_core. Included by it
// alone.
#pragma once

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

// Its answer is `accepted` when the write has a slot of its own, which `mine` is then; `full`: the key has
// writes pending after all.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::begin_direct(shard& at, const K& key, write& made,
                                                     const write_condition& condition, slot*& mine)
    -> accepted_write {
    const std::uint64_t hash = hash_of(key);
    std::uint64_t unused = 0;
    accepted_write done;
    try {
        const std::lock_guard lock(at.mutex);
        check_open();
        if (!holds(condition, hash)) {
            return {.what = answer::changed};
        }
        if (at.writes.find(key) != nullptr) {
            return {.what = answer::full};
        }
        done.sequence = unused = number(made);
        made.sequence = made.oldest = done.sequence;
        made.since = time_->now();
        done.older_letters = letters_.older_than(key, done.sequence, condition.letter);
        mine = &at.writes.begin_direct(key, std::move(made));
        filter_.count_write(hash);
        filter_.add(hash);
    } catch (...) {
        forget(unused);
        throw;
    }
    return done;
}

// What became of a write that the source was given directly; the slot goes. Throws the failure.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::end_direct(shard& at, slot& mine, const write_report& report,
                                                   std::exception_ptr failure, accepted_write begun) {
    const bool is_stored = report.size() == 1 && report.front().error == nullptr;
    if (failure == nullptr && (report.size() != 1 || report.front().error != nullptr)) {
        failure = report.size() == 1 ? report.front().error
                                     : std::make_exception_ptr(error(errc::invalid_data, "not one result"));
    }
    {
        const std::lock_guard lock(at.mutex);
        mine.landed = failure == nullptr ? landing::stored : landing::given_up;
        if (is_stored) {
            supersede_letters(std::move(begun.older_letters), begun.sequence);
        }
        mine.stored_version = failure == nullptr ? report.front().version : 0;
    }
    slot* const one[] = {&mine};
    end_all(at, one);
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
    bump(counters_.accepted);
    bump(counters_.flushed);
    bump(counters_.written_through);
}

template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::write_through(const K& key, write& made,
                                                      const write_condition& condition) -> answer {
    shard& at = shard_of(hash_of(key));
    slot* mine = nullptr;
    accepted_write begun = begin_direct(at, key, made, condition, mine);
    if (begun.what != answer::accepted) {
        return begun.what;
    }
    write_report report;
    std::exception_ptr failure;
    try {
        operations one;
        one.push_back(operation_of(*mine));
        report = source_->store(std::move(one));
        wait_durable(begun.sequence);
    } catch (...) {
        failure = std::current_exception();
    }
    end_direct(at, *mine, report, failure, std::move(begun));
    return answer::accepted;
}

// Not cancelled once it has begun: the key is held until its slot has ended.
template <class K, class V, class Hash, class Eq>
auto write_behind_core<K, V, Hash, Eq>::async_write_through(self_ptr self, K key, std::shared_ptr<write> made,
                                                            write_condition condition) -> awaitable<answer> {
    co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
    shard& at = self->shard_of(self->hash_of(key));
    slot* mine = nullptr;
    accepted_write begun = self->begin_direct(at, key, *made, condition, mine);
    if (begun.what != answer::accepted) {
        co_return begun.what;
    }
    write_report report;
    std::exception_ptr failure;
    try {
        operations one;
        one.push_back(self->operation_of(*mine));
        report = co_await self->source_->async_store(std::move(one));
        auto waiting = async_durable(self, begun.sequence);
        co_await std::move(waiting);
    } catch (...) {
        failure = std::current_exception();
    }
    self->end_direct(at, *mine, report, failure, std::move(begun));
    co_return answer::accepted;
}

}  // namespace levee::cache_detail
