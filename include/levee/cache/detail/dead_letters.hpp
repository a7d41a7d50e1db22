/// The writes that were given up, kept for people: in memory, and in a journal of their own if there is one.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "levee/cache/detail/letter_notes.hpp"
#include "levee/cache/detail/write_log.hpp"
#include "levee/cache/detail/write_record.hpp"
#include "levee/cache/write_behind_options.hpp"
#include "levee/core/error.hpp"
#include "levee/store/codec.hpp"
#include "levee/store/key_codec.hpp"

namespace levee::cache_detail {

/// The code of a failure; empty for what is no std::system_error. And its text.
[[nodiscard]] std::pair<std::error_code, std::string> code_and_text(
    const std::exception_ptr& failure) noexcept;

/// levee's, the system's and the generic category by name; an empty code for any other.
[[nodiscard]] std::error_code code_of(std::string_view category, std::int64_t value) noexcept;

/// A number other than 0 from the system's generator.
[[nodiscard]] std::uint64_t system_seed();

/// Thread safety: safe.
template <class K, class V, class Eq>
class dead_letters {
public:
    using letter = dead_letter<K, V>;

    explicit dead_letters(std::size_t limit) : limit_(limit) {}

    /// Keeps letters in this folder from now on, with those that are there.
    void open(journal_options options, const boost::asio::any_io_executor& runs_on,
              const std::shared_ptr<async::scheduler>& time)
        requires(key_encodable<K> && encodable<V>)
    {
        std::vector<std::uint64_t> ended;
        std::vector<std::uint64_t> notes;
        std::vector<grave> graves;
        log_ = write_log::open(std::move(options), runs_on, time, [&](std::uint64_t id, bytes_view record) {
            replay(id, record, ended, notes, graves);
        });
        for (std::uint64_t id : ended) {
            letters_.erase(id);
        }
        log_->release(ended);
        count_ = letters_.size();
        bury(std::move(graves));
        notes_ = std::make_shared<letter_notes>(log_, std::move(notes));
    }

    /// Keeps it, and returns when that is safe. Its number; empty: there are as many as may be, or the disk
    /// failed.
    [[nodiscard]] boost::asio::awaitable<std::optional<std::uint64_t>> async_add(letter given,
                                                                                 time_point deadline) {
        if (!reserve()) {
            co_return std::nullopt;
        }
        bool is_safe = true;
        if constexpr (key_encodable<K> && encodable<V>) {
            if (log_ != nullptr) {
                try {
                    given.id = log_->append(encode(record_of(given)));
                    auto waiting = write_log::async_durable(log_, given.id, deadline);
                    co_await std::move(waiting);
                } catch (...) {
                    is_safe = false;
                }
            }
        }
        if (!is_safe) {
            forget(given.id);
        }
        const std::lock_guard lock(mutex_);
        --reserved_;
        if (!is_safe) {
            co_return std::nullopt;
        }
        co_return keep_locked(std::move(given));
    }

    /// The same in memory alone, when there is no journal. Empty: there are as many as may be.
    [[nodiscard]] std::optional<std::uint64_t> try_add(letter given) {
        const std::lock_guard lock(mutex_);
        if (letters_.size() + reserved_ >= limit_) {
            return std::nullopt;
        }
        return keep_locked(std::move(given));
    }
    /// However many there are: for the end.
    std::uint64_t add(letter given) {
        const std::lock_guard lock(mutex_);
        return keep_locked(std::move(given));
    }
    [[nodiscard]] bool has_log() const noexcept { return log_ != nullptr; }

    [[nodiscard]] std::vector<letter> list() const {
        const std::lock_guard lock(mutex_);
        std::vector<letter> all;
        all.reserve(letters_.size());
        for (const auto& each : letters_) {
            all.push_back(each.second);
        }
        return all;
    }
    [[nodiscard]] std::optional<letter> find(std::uint64_t id) const {
        const std::lock_guard lock(mutex_);
        const auto at = letters_.find(id);
        return at == letters_.end() ? std::nullopt : std::optional<letter>(at->second);
    }
    /// Whether it is there, and no newer write of its key is known.
    [[nodiscard]] bool is_newest(std::uint64_t id) const {
        const std::lock_guard lock(mutex_);
        const auto at = letters_.find(id);
        return at != letters_.end() && !at->second.is_superseded;
    }
    /// This very write's letter.
    [[nodiscard]] std::optional<letter> find(std::uint64_t writer, std::uint64_t sequence,
                                             const K& key) const {
        const std::lock_guard lock(mutex_);
        const auto at = std::find_if(letters_.begin(), letters_.end(), [&](const auto& each) {
            const auto& given = each.second.operation;
            return given.writer == writer && given.sequence == sequence && Eq{}(given.key, key);
        });
        return at == letters_.end() ? std::nullopt : std::optional<letter>(at->second);
    }

    /// The same of one that an owner before had removed: until `replayed`.
    [[nodiscard]] bool is_buried(std::uint64_t writer, std::uint64_t sequence, const K& key) const {
        const std::lock_guard lock(mutex_);
        return std::any_of(buried_.begin(), buried_.end(), [&](const auto& given) {
            return given.writer == writer && given.sequence == sequence && Eq{}(given.key, key);
        });
    }
    [[nodiscard]] bool has_any_of(const K& key) const {
        const std::lock_guard lock(mutex_);
        return std::any_of(letters_.begin(), letters_.end(),
                           [&](const auto& each) { return Eq{}(each.second.operation.key, key); }) ||
               std::any_of(buried_.begin(), buried_.end(),
                           [&](const auto& given) { return Eq{}(given.key, key); });
    }
    /// What the writes' journal held has been looked at.
    void replayed() noexcept {
        const std::lock_guard lock(mutex_);
        buried_.clear();
    }

    /// Returns when it is gone for good, that of its write's record as well: what is on the disk about it
    /// stays there until `forget_graves`. False: there is none. Errors: as `journal::append`: it is still
    /// there; as `journal::wait_durable`: the next owner may find it.
    bool remove(std::uint64_t id, time_point deadline) {
        const auto given = find(id);
        if (!given) {
            return false;
        }
        std::uint64_t note = 0;
        if (log_ != nullptr) {
            note = log_->append(encode({.what = write_record::kind::discarded, .id = id}));
            bury({{given->operation.sequence, id, note}});
        }
        std::vector<std::uint64_t> ended;
        {
            const std::lock_guard lock(mutex_);
            if (letters_.erase(id) == 0) {
                return false;  // another was faster
            }
            count_ = letters_.size();
            if (letters_.empty() && notes_ != nullptr) {  // they are about letters that are gone
                ended = notes_->take();
            }
        }
        if (log_ != nullptr) {
            log_->release(ended);
            log_->wait_durable(note, deadline);
        }
        return true;
    }
    /// Of letters that were removed, and whose writes up to `marked` no replay brings any more.
    void forget_graves(std::uint64_t marked) noexcept {
        try {
            std::vector<std::uint64_t> ended;
            {
                const std::lock_guard lock(mutex_);
                ended.reserve(2 * graves_.size());
                std::erase_if(graves_, [&](const grave& each) {
                    if (each.sequence > marked) {
                        return false;
                    }
                    ended.insert(ended.end(), {each.letter, each.note});
                    return true;
                });
            }
            if (log_ != nullptr) {
                log_->release(ended);
            }
        } catch (...) {  // no memory: next time
            return;
        }
    }

    /// The letters that a write of the key, `redriven` left out, makes older ones. Cost: one load while there
    /// are no letters.
    [[nodiscard]] std::vector<std::uint64_t> older_than(const K& key, std::uint64_t sequence,
                                                        std::uint64_t redriven = 0) const {
        std::vector<std::uint64_t> older;
        if (count_.load(std::memory_order_acquire) == 0) {
            return older;
        }
        const std::lock_guard lock(mutex_);
        for (const auto& [id, each] : letters_) {
            if (id != redriven && !each.is_superseded && each.operation.sequence < sequence &&
                Eq{}(each.operation.key, key)) {
                older.push_back(id);
            }
        }
        return older;
    }
    /// A newer write of their key was accepted. In memory: see `notes`.
    void supersede(std::span<const std::uint64_t> ids) noexcept {
        const std::lock_guard lock(mutex_);
        for (const std::uint64_t id : ids) {
            if (const auto at = letters_.find(id); at != letters_.end()) {
                at->second.is_superseded = true;
            }
        }
    }
    /// Where that is noted when the newer write is safe; null without a journal.
    [[nodiscard]] const std::shared_ptr<letter_notes>& notes() const noexcept { return notes_; }

    [[nodiscard]] std::size_t size() const noexcept { return count_.load(std::memory_order_acquire); }
    /// The journal, or null.
    [[nodiscard]] const std::shared_ptr<write_log>& log() const noexcept { return log_; }

private:
    /// What is on the disk about a letter that was removed.
    struct grave {
        std::uint64_t sequence;  // of its write
        std::uint64_t letter, note;
    };
    void bury(std::vector<grave> more) {
        const std::lock_guard lock(mutex_);
        graves_.insert(graves_.end(), more.begin(), more.end());
    }

    [[nodiscard]] bool reserve() {
        const std::lock_guard lock(mutex_);
        if (letters_.size() + reserved_ >= limit_) {
            return false;
        }
        ++reserved_;
        return true;
    }

    // The record of a letter that is not kept, whose write goes on waiting: it may reach the disk all the
    // same, and stays there as long as anything before it. So a note ends it there.
    void forget(std::uint64_t id) noexcept {
        if (id == 0) {
            return;
        }
        try {
            const std::uint64_t ended[] = {id, note_gone(id)};
            log_->release(ended);
        } catch (...) {  // no room for the note
            log_->release(std::span(&id, 1));
        }
    }

    // On its way to the disk, and not waited for. Its sequence.
    std::uint64_t note_gone(std::uint64_t id) {
        const std::uint64_t note = log_->append(encode({.what = write_record::kind::gone, .id = id}));
        try {
            log_->when_durable(note);
        } catch (...) {  // no memory: it goes with the next one
        }
        return note;
    }

    std::uint64_t keep_locked(letter given) {
        if (given.id == 0) {
            given.id = ++last_id_;
        }
        const std::uint64_t id = given.id;
        letters_.insert_or_assign(id, std::move(given));
        count_ = letters_.size();
        return id;
    }

    [[nodiscard]] static write_record record_of(const letter& given) {
        write_record record{
            .what = given.operation.value ? write_record::kind::letter_put : write_record::kind::letter_erase,
            .writer = given.operation.writer,
            .version = given.operation.version,
            .key = key_codec<K>::encode(given.operation.key),
            .sequence = given.operation.sequence,
            .code = given.code.value(),
            .category = given.code ? given.code.category().name() : "",
            .reason = given.reason};
        if (given.operation.value) {
            codec<V>::encode(*given.operation.value, record.value);
        }
        return record;
    }

    void replay(std::uint64_t id, bytes_view bytes, std::vector<std::uint64_t>& ended,
                std::vector<std::uint64_t>& notes, std::vector<grave>& graves) {
        const auto record = decode_write_record(bytes);
        if (!record) {
            throw error(errc::invalid_data, "a dead letter in the journal is not one");
        }
        if (record->what == write_record::kind::gone) {
            ended.push_back(record->id);
            ended.push_back(id);
            return;
        }
        if (record->what == write_record::kind::discarded) {
            if (const auto at = letters_.find(record->id); at != letters_.end()) {
                graves.push_back({at->second.operation.sequence, record->id, id});
                buried_.push_back(std::move(at->second.operation));
                letters_.erase(at);
            } else {
                ended.push_back(id);
            }
            return;
        }
        if (record->what == write_record::kind::superseded) {
            notes.push_back(id);
            if (const auto at = letters_.find(record->id); at != letters_.end()) {
                at->second.is_superseded = true;
            }
            return;
        }
        auto key = key_codec<K>::decode(record->key);
        std::optional<V> value;
        if (record->what == write_record::kind::letter_put) {
            value = codec<V>::decode(record->value);
        }
        if (!record->is_letter() || !key || (record->what == write_record::kind::letter_put && !value)) {
            throw error(errc::invalid_data,
                        "a dead letter in the journal has a key or value of another type");
        }
        letters_.insert_or_assign(id, letter{.id = id,
                                             .operation = {.key = std::move(*key),
                                                           .value = std::move(value),
                                                           .version = record->version,
                                                           .writer = record->writer,
                                                           .sequence = record->sequence},
                                             .code = code_of(record->category, record->code),
                                             .reason = record->reason});
    }

    const std::size_t limit_;
    std::shared_ptr<write_log> log_;
    std::shared_ptr<letter_notes> notes_;
    std::atomic<std::size_t> count_{0};
    mutable std::mutex mutex_;  // guards below
    std::map<std::uint64_t, letter> letters_;
    std::vector<write_op<K, V>> buried_;
    std::vector<grave> graves_;
    std::size_t reserved_ = 0;
    std::uint64_t last_id_ = 0;
};

}  // namespace levee::cache_detail
