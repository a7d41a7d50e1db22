/// Lists of dense ids, linked through arrays instead of nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace levee::lab {

/// No id: the end of a list.
inline constexpr std::uint32_t no_id = 0xffffffff;

/// The links of all ids below `distinct`. Lists that share them hold each id at most once in total.
struct id_links {
    explicit id_links(std::size_t distinct) : older(distinct, no_id), newer(distinct, no_id) {}

    std::vector<std::uint32_t> older, newer;
};

/// A doubly linked list from the oldest id to the newest. Cost: every operation is a few stores.
class id_list {
public:
    /// `links` must outlive the list.
    explicit id_list(id_links& links) noexcept : links_(&links) {}

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }
    [[nodiscard]] std::uint32_t newest() const noexcept { return newest_; }

    /// The id that came after `id`; `no_id` after the newest.
    [[nodiscard]] std::uint32_t newer_than(std::uint32_t id) const noexcept { return links_->newer[id]; }

    /// Appends `id`, which is in no list that shares the links, as the newest.
    void push(std::uint32_t id) noexcept {
        links_->older[id] = newest_;
        links_->newer[id] = no_id;
        (newest_ == no_id ? oldest_ : links_->newer[newest_]) = id;
        newest_ = id;
        ++size_;
    }

    /// Takes out `id`, which is in this list.
    void erase(std::uint32_t id) noexcept {
        const std::uint32_t older = links_->older[id];
        const std::uint32_t newer = links_->newer[id];
        (older == no_id ? oldest_ : links_->newer[older]) = newer;
        (newer == no_id ? newest_ : links_->older[newer]) = older;
        --size_;
    }

    /// Takes out the oldest id. The list must not be empty.
    std::uint32_t pop() noexcept {
        const std::uint32_t id = oldest_;
        erase(id);
        return id;
    }

    /// Makes `id`, which is in this list, the newest.
    void renew(std::uint32_t id) noexcept {
        erase(id);
        push(id);
    }

private:
    id_links* links_;
    std::uint32_t oldest_ = no_id;
    std::uint32_t newest_ = no_id;
    std::size_t size_ = 0;
};

}  // namespace levee::lab
