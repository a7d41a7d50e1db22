/// What a process knows of a namespace's marks: which entries a tag, a prefix or `clear` has invalidated.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "levee/store/remote_store.hpp"

namespace levee::cache_detail {

/// The names under which marks are made. A tag and a prefix of the same text differ.
[[nodiscard]] std::string mark_of_tag(std::string_view tag);
[[nodiscard]] std::string mark_of_prefix(std::string_view prefix);

/// An entry is valid iff its stamp is at least the mark of each of its tags, of each of its prefixes (the
/// parts of its key up to and with a ':') and of everything. No clocks: numbers of one counter per namespace.
/// Marks only grow here, so learning them late, twice or out of order does no harm.
///
/// Bounded: when too many names have been marked, all that was marked so far becomes one mark of everything;
/// that only makes entries invalid that were not.
///
/// Thread safety: safe. Cost: one load while nothing new was marked (`version`), else a lock and a look-up
/// per tag and prefix.
class mark_table {
public:
    explicit mark_table(std::size_t max_marks = 10'000) : max_marks_(max_marks) {}

    /// The highest number known: the stamp of what is loaded from now on.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_acquire); }

    /// Changes whenever something is marked: what was valid at a version still is while it stays.
    [[nodiscard]] std::uint32_t version() const noexcept { return version_.load(std::memory_order_acquire); }

    /// Changes the version without a mark: something else is to be looked at anew.
    void touch() noexcept { version_.fetch_add(1, std::memory_order_acq_rel); }

    [[nodiscard]] bool is_valid(std::uint64_t stamp, std::string_view key,
                                std::span<const std::string> tags) const;

    /// One mark that was made, here or elsewhere. True: it is news.
    bool learn(const std::string& what, std::uint64_t count);

    /// All marks of the store. True: there is news.
    bool learn(const remote_marks& all);

    /// A mark of a namespace that nobody else has.
    void mark(const std::string& what) {
        const std::lock_guard lock(mutex_);
        learn_locked(what, count_.load(std::memory_order_relaxed) + 1);
    }

private:
    bool learn_locked(const std::string& what, std::uint64_t count);

    const std::size_t max_marks_;
    mutable std::mutex mutex_;  // guards the marks, and writing of the atomics
    std::map<std::string, std::uint64_t, std::less<>> marks_;
    std::uint64_t everything_ = 0;
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::uint32_t> version_{1};
};

}  // namespace levee::cache_detail
