/// What an operation removed, kept until its locks are released.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "levee/local/detail/entry.hpp"

namespace levee::local_detail {

/// Collects removed entries under a lock, without allocating; its destructor reports and releases them.
///
/// Declare it before the lock and the reservation, so that it ends after both: then the listener and the
/// destructors of K and V run off every lock and may use the cache.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class K, class V>
class removals {
public:
    using entry_ptr = std::shared_ptr<entry<K, V>>;
    using listener = std::function<void(const K&, const V&, removal_cause)>;

    removals(const listener& told, std::atomic<std::uint64_t>& failures) noexcept
        : told_(told), failures_(failures) {}
    ~removals() {
        while (first_) {
            // One at a time: a long chain that released itself would recurse as deep as it is long.
            const entry_ptr gone = std::move(first_);
            first_ = std::move(gone->next_removed);
            report(*gone);
        }
    }
    removals(const removals&) = delete;
    removals& operator=(const removals&) = delete;

    void add(entry_ptr gone, removal_cause cause) noexcept {
        gone->cause = cause;
        entry<K, V>* const added = gone.get();
        (last_ != nullptr ? last_->next_removed : first_) = std::move(gone);
        last_ = added;
    }

private:
    void report(const entry<K, V>& gone) noexcept {
        if (!told_) {
            return;
        }
        try {
            told_(gone.key, gone.value, gone.cause);
        } catch (...) {
            failures_.fetch_add(1, std::memory_order_relaxed);  // a sum, ordered with nothing
        }
    }

    const listener& told_;
    std::atomic<std::uint64_t>& failures_;
    entry_ptr first_{};
    entry<K, V>* last_ = nullptr;
};

}  // namespace levee::local_detail
