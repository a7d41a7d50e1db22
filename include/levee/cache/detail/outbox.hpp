/// What the remote level and the peers have not been told yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace levee::cache_detail {

/// Keys to be erased, keys to be announced, names to be marked: bounded, each name once, to be told again
/// until it is confirmed. Too many keys become one mark of everything.
///
/// Thread safety: safe. Cost: one load while it is empty.
class outbox {
public:
    struct letter {
        std::string name{};
        bool is_mark = false;  ///< Else it is a key.
        bool erases = false;   ///< The remote level is to drop it; else only the peers are to hear.
        std::uint64_t serial = 0;
    };

    explicit outbox(std::size_t max_keys) : max_keys_(max_keys) {}

    void add_erasure(const std::string& key) { add(key, true); }
    void add_announcement(const std::string& key) { add(key, false); }
    void add_mark(const std::string& what);

    [[nodiscard]] bool is_empty() const noexcept { return size_.load(std::memory_order_acquire) == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }

    /// True: the remote level may hold a value of this key that was to be dropped.
    [[nodiscard]] bool holds(const std::string& key) const;

    /// Up to `most` of what there is to tell: all marks first.
    [[nodiscard]] std::vector<letter> next(std::size_t most) const;

    /// It was told. What was added anew meanwhile stays.
    void confirm(const letter& told);

private:
    struct item {
        bool erases = false;
        std::uint64_t serial = 0;
    };

    void add(const std::string& key, bool erases);
    void count_locked() noexcept {
        size_.store(keys_.size() + marks_.size(), std::memory_order_release);  // pairs with is_empty()
    }

    const std::size_t max_keys_;
    mutable std::mutex mutex_;  // guards all below
    std::unordered_map<std::string, item> keys_;
    std::unordered_map<std::string, std::uint64_t> marks_;  // "" is everything
    std::uint64_t last_serial_ = 0;
    std::atomic<std::size_t> size_{0};  // written under the mutex
};

}  // namespace levee::cache_detail
