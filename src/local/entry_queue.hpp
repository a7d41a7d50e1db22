/// Queues of ids, linked through arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

/// The links of all ids below `limit`, for queues that hold each id at most once in total.
template <class Link>
struct queue_links {
    struct pair {
        Link older, newer;
    };
    std::vector<pair> of{};

    /// Errors: std::bad_alloc; nothing is changed.
    void reserve(std::size_t limit) {
        if (limit > of.size()) {
            of.resize(limit);
        }
    }
    [[nodiscard]] std::size_t memory() const noexcept { return of.capacity() * sizeof(pair); }
};

/// A doubly linked list from the oldest id to the newest. Every operation is a few loads and stores.
///
/// Thread safety: distinct objects: safe; shared, or over the same links: unsafe.
template <class Link>
class entry_queue {
public:
    static constexpr Link none = static_cast<Link>(~Link{0});

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// `none` when empty.
    [[nodiscard]] Link oldest() const noexcept { return oldest_; }
    [[nodiscard]] Link newest() const noexcept { return newest_; }

    void push(queue_links<Link>& links, Link id) noexcept {
        links.of[id] = {newest_, none};
        (newest_ == none ? oldest_ : links.of[newest_].newer) = id;
        newest_ = id;
        ++size_;
    }

    /// `id` is in this queue.
    void erase(queue_links<Link>& links, Link id) noexcept {
        const auto [older, newer] = links.of[id];
        (older == none ? oldest_ : links.of[older].newer) = newer;
        (newer == none ? newest_ : links.of[newer].older) = older;
        --size_;
    }

    /// Makes the oldest id the newest. The queue is not empty.
    void renew_oldest(queue_links<Link>& links) noexcept {
        const Link id = oldest_;
        erase(links, id);
        push(links, id);
    }

private:
    Link oldest_ = none;
    Link newest_ = none;
    std::size_t size_ = 0;
};

}  // namespace levee::local_detail
