// Beginning, with what an earlier owner left in the journal: bodies of write_behind_core. Included by it
// alone.
#pragma once

#include <boost/asio/post.hpp>

#include "levee/cache/detail/write_behind_core.hpp"

namespace levee::cache_detail {

[[nodiscard]] inline schedule_options schedule_of(const auto& options, std::uint64_t seed) {
    return {.batch_size = options.batch_size,
            .batch_bytes = options.batch_bytes,
            .flush_interval = options.flush_interval,
            .batch_time = options.batch_time,
            .batch_attempts = options.batch_attempts,
            .max_attempts = options.max_attempts,
            .permanent_attempts = options.permanent_attempts,
            .backoff = options.backoff,
            .writes_per_second = options.max_writes_per_second / static_cast<double>(options.workers),
            .seed = seed};
}

template <class K, class V, class Hash, class Eq>
write_behind_core<K, V, Hash, Eq>::write_behind_core(std::shared_ptr<cache_type> cache,
                                                     std::shared_ptr<source<K, V>> to, options_type options)
    : cache_(std::move(cache)),
      source_(std::move(to)),
      options_(std::move(options)),
      holes_(options_.holes != nullptr ? *options_.holes : write_defences_off{}),
      runs_on_(source_->is_blocking() ? cache_->options().blocking_executor : cache_->options().executor),
      time_(
          cache_->options().scheduler != nullptr
              ? cache_->options().scheduler
              : async::steady_scheduler(cache_->options().executor ? cache_->options().executor : runs_on_)),
      writer_(options_.writer != 0 ? options_.writer : system_seed()),
      filter_(options_.max_pending),
      letters_(options_.max_dead_letters) {
    const auto& o = options_;
    validate(write_behind_limits{o.flush_interval, o.full_timeout, o.durable_timeout, o.batch_time,
                                 o.age_alarm, o.close_timeout, o.max_pending, o.max_pending_bytes,
                                 o.max_dead_letters, o.workers, o.batch_size, o.batch_attempts,
                                 o.max_attempts, o.permanent_attempts, o.max_writes_per_second, o.backoff});
    const std::uint64_t seed = cache_->options().seed != 0 ? cache_->options().seed : system_seed();
    const std::size_t mean = options_.max_pending / options_.workers;
    const std::size_t share =
        options_.workers == 1 ? mean : mean + mean / 8 + 64;  // keys are not spread evenly
    for (std::size_t i = 0; i < options_.workers; ++i) {
        shards_.push_back(std::make_unique<shard>(schedule_of(options_, seed + i), holes_));
        shards_.back()->writes.reserve((std::min)(share, reserved_keys));
    }
}

template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::open() {
    if (!options_.journal) {
        return;
    }
    if constexpr (key_encodable<K> && encodable<V>) {
        const auto& disk = cache_->options().blocking_executor;
        journal_options dead = *options_.journal;
        if (!dead.folder.empty() && dead.files == nullptr) {
            dead.folder += "/dead";
            dead.sync = journal_sync::always;
            letters_.open(std::move(dead), disk, time_);
        }
        struct record {
            std::uint64_t sequence;
            bytes what;
        };
        std::vector<record> found;
        replayed all;
        journal_options kept = *options_.journal;
        note_room_on_disk(kept);
        log_ = write_log::open(std::move(kept), disk, time_, [&](std::uint64_t sequence, bytes_view what) {
            if (holes_.replay_order) {
                found.push_back({sequence, bytes(what.begin(), what.end())});
            } else {
                replay(sequence, what, all);
            }
        });
        for (auto each = found.rbegin(); each != found.rend(); ++each) {
            replay(each->sequence, each->what, all);
        }
        for (auto& [key, writes] : all.with_letters) {
            for (write& each : writes) {
                take_up(key, std::move(each));
            }
        }
        letters_.replayed();
        log_->release(all.ended);
        last_sequence_.store((std::max)(last_sequence_.load(), log_->stats().last_sequence));
        tell_again(std::move(all.given_up));
        for (const auto& each : shards_) {
            wake(*each);
            for (std::size_t i = 0; has_peers() && i < max_tellers; ++i) {
                start_tellers(*each);
            }
        }
    } else {
        throw std::invalid_argument(
            "write_behind_options::journal is set; it needs a levee::key_codec for K and a levee::codec for "
            "V");
    }
}

// Who waits for room looks again when the disk has some: after a flush that may be later than the release.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::note_room_on_disk(journal_options& of) {
    of.observer = [weak = this->weak_from_this(), next = std::move(of.observer)](const journal_event& event) {
        const bool has_room = event.kind == journal_event_kind::segment_freed ||
                              event.kind == journal_event_kind::records_failed;
        if (const auto self = has_room ? weak.lock() : nullptr) {
            self->changes_.notify_all();
        }
        if (next) {
            next(event);
        }
    };
}

// The owner before may have ended between a letter's safety and its telling: they are told by this one, where
// its workers run. Their records are kept until then.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::tell_again(std::vector<dead_letter<K, V>> letters) {
    if (letters.empty()) {
        return;
    }
    boost::asio::post(runs_on_, [self = this->shared_from_this(), letters = std::move(letters)] {
        for (const auto& each : letters) {
            if (self->tell_lost(each)) {
                self->log_->release(std::span(&each.operation.sequence, 1));
            }
        }
    });
}

// One record, in their order. What a later one of its key may say is given up waits for that: a write that
// has a letter, or had one, stood for the older ones.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::replay(std::uint64_t sequence, bytes_view raw, replayed& all) {
    if constexpr (key_encodable<K> && encodable<V>) {
        const auto record = decode_write_record(raw);
        std::optional<K> key;
        std::optional<V> value;
        if (record &&
            (record->what == write_record::kind::put || record->what == write_record::kind::erase)) {
            key = key_codec<K>::decode(record->key);
            if (record->what == write_record::kind::put) {
                value = codec<V>::decode(record->value);
            }
        }
        if (!key || (record->what == write_record::kind::put && !value)) {
            throw error(errc::invalid_data, "record " + std::to_string(sequence) +
                                                " of the journal is not a write of this key and value type");
        }
        bump(counters_.replayed);
        auto letter = letters_.find(record->writer, sequence, *key);
        if (letter || letters_.is_buried(record->writer, sequence, *key)) {
            if (const auto older = all.with_letters.find(*key); older != all.with_letters.end()) {
                for (const write& each : older->second) {
                    all.ended.push_back(each.sequence);
                }
                all.with_letters.erase(older);
            }
            if (letter) {
                all.given_up.push_back(std::move(*letter));
            } else {
                all.ended.push_back(sequence);
            }
            return;
        }
        write made = prepare(*key, std::move(value), record->version);
        made.sequence = made.oldest = sequence;
        made.writer = record->writer;
        made.is_journaled = true;
        made.since = time_->now();
        if (letters_.has_any_of(*key)) {
            all.with_letters[*key].push_back(std::move(made));
        } else {
            take_up(*key, std::move(made));
        }
    } else {
        static_cast<void>(sequence);
        static_cast<void>(raw);
        static_cast<void>(all);
    }
}

// Past all bounds: it was accepted once.
template <class K, class V, class Hash, class Eq>
void write_behind_core<K, V, Hash, Eq>::take_up(const K& key, write made) {
    const std::uint64_t hash = hash_of(key);
    const std::uint64_t sequence = made.sequence;
    shard& at = shard_of(hash);
    const std::lock_guard lock(at.mutex);
    slot* held = at.writes.find(key);
    keys_.fetch_add(held == nullptr ? 1 : 0);
    bytes_.fetch_add(made.size);
    if (held != nullptr) {
        bytes_.fetch_sub(held->waiting->size);
    } else {
        filter_.add(hash);
    }
    filter_.count_write(hash);
    const auto older = letters_.older_than(key, sequence);
    at.writes.accept(held, key, std::move(made));
    if (!older.empty()) {
        letters_.supersede(older);
        letters_.notes()->supersede(older);
    }
    last_sequence_.store(sequence);
    if (has_peers()) {
        tell_about(at, *held);
    }
}

}  // namespace levee::cache_detail
