/// Records what a local cache's listener is told.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "levee/local/removal_cause.hpp"

namespace levee::test {

template <class K, class V>
class removal_log {
public:
    using record = std::tuple<K, V, removal_cause>;

    /// To be the cache's `on_removal`; the log must outlive the cache.
    [[nodiscard]] auto listener() {
        return [this](const K& key, const V& value, removal_cause cause) {
            const std::lock_guard lock(mutex_);
            records_.emplace_back(key, value, cause);
        };
    }

    /// What came since the last call.
    [[nodiscard]] std::vector<record> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(records_, {});
    }

    [[nodiscard]] std::size_t count(removal_cause cause) const {
        const std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(std::count_if(
            records_.begin(), records_.end(), [cause](const record& r) { return std::get<2>(r) == cause; }));
    }

private:
    mutable std::mutex mutex_;
    std::vector<record> records_;  // guarded by mutex_
};

}  // namespace levee::test
