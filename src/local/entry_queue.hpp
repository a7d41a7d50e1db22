/// Queues of ids, linked through arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "levee/local/detail/chunked_array.hpp"
#include "levee/local/detail/number_pairs.hpp"
#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

/// An array of the form of `chunked_array`, in one piece: for what is given its size once.
template <class T>
class flat_array {
public:
    /// Errors: std::bad_alloc; nothing is changed.
    void reserve(std::size_t size) {
        if (size > all_.size()) {
            all_.resize(size);
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return all_[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return all_[i]; }
    [[nodiscard]] std::size_t memory() const noexcept { return all_.capacity() * sizeof(T); }

private:
    std::vector<T> all_{};
};

/// The links of all ids below `limit`, for queues that hold each id at most once in total.
///
/// Small ones: two 16-bit numbers an id.
template <class Link>
class queue_links {
public:
    static_assert(sizeof(Link) == 2);
    template <class T>
    using array = flat_array<T>;

    /// Errors: std::bad_alloc; nothing is changed.
    void reserve(std::size_t limit) { of_.reserve(limit); }
    [[nodiscard]] Link older(Link id) const noexcept { return of_[id].older; }
    [[nodiscard]] Link newer(Link id) const noexcept { return of_[id].newer; }
    void set_older(Link id, Link to) noexcept { of_[id].older = to; }
    void set_newer(Link id, Link to) noexcept { of_[id].newer = to; }
    [[nodiscard]] std::size_t memory() const noexcept { return of_.memory(); }

private:
    struct pair {
        Link older, newer;
    };
    flat_array<pair> of_{};
};

/// Those of a shard's entries: `number_pairs`, never moved.
template <>
class queue_links<entry_id> {
public:
    template <class T>
    using array = chunked_array<T>;

    /// Errors: std::bad_alloc; usable as before.
    void reserve(std::size_t limit) { of_.reserve(limit, static_cast<std::uint32_t>(limit)); }
    [[nodiscard]] entry_id older(entry_id id) const noexcept { return of_.first(id) - 1; }
    [[nodiscard]] entry_id newer(entry_id id) const noexcept { return of_.second(id) - 1; }
    void set_older(entry_id id, entry_id to) noexcept { of_.set_first(id, to + 1); }
    void set_newer(entry_id id, entry_id to) noexcept { of_.set_second(id, to + 1); }
    [[nodiscard]] std::size_t memory() const noexcept { return of_.memory(); }

private:
    number_pairs of_{};  // of one more than the id; zero: none
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
        links.set_older(id, newest_);
        links.set_newer(id, none);
        if (newest_ == none) {
            oldest_ = id;
        } else {
            links.set_newer(newest_, id);
        }
        newest_ = id;
        ++size_;
    }

    /// `id` is in this queue.
    void erase(queue_links<Link>& links, Link id) noexcept {
        const Link older = links.older(id), newer = links.newer(id);
        if (older == none) {
            oldest_ = newer;
        } else {
            links.set_newer(older, newer);
        }
        if (newer == none) {
            newest_ = older;
        } else {
            links.set_older(newer, older);
        }
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
