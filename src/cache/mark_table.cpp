#include "levee/cache/detail/mark_table.hpp"

#include <algorithm>

namespace levee::cache_detail {

std::string mark_of_tag(std::string_view tag) {
    return "t" + std::string(tag);
}

std::string mark_of_prefix(std::string_view prefix) {
    std::string name = "p" + std::string(prefix);
    if (name.back() != ':') {
        name += ':';  // `user` means `user:…` and never `users:…`
    }
    return name;
}

bool mark_table::is_valid(std::uint64_t stamp, std::string_view key,
                          std::span<const std::string> tags) const {
    if (stamp >= count()) {
        return true;  // nothing was marked since
    }
    const std::lock_guard lock(mutex_);
    if (stamp < everything_) {
        return false;
    }
    std::string name;
    const auto is_marked_since = [&](char kind, std::string_view what) {
        name.assign(1, kind).append(what);
        const auto found = marks_.find(name);
        return found != marks_.end() && found->second > stamp;
    };
    for (const std::string& tag : tags) {
        if (is_marked_since('t', tag)) {
            return false;
        }
    }
    for (std::size_t at = key.find(':'); at != std::string_view::npos; at = key.find(':', at + 1)) {
        if (is_marked_since('p', key.substr(0, at + 1))) {
            return false;
        }
    }
    return true;
}

bool mark_table::learn(const std::string& what, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    return learn_locked(what, count);
}

bool mark_table::learn(const remote_marks& all) {
    const std::lock_guard lock(mutex_);
    bool is_news = false;
    for (const auto& [what, count] : all.marks) {
        is_news = learn_locked(what, count) || is_news;
    }
    if (all.count > count_.load(std::memory_order_relaxed)) {
        count_.store(all.count, std::memory_order_release);
    }
    return is_news;
}

bool mark_table::learn_locked(const std::string& what, std::uint64_t count) {
    if (what.empty()) {
        if (count <= everything_) {
            return false;
        }
        everything_ = count;
        std::erase_if(marks_, [count](const auto& mark) { return mark.second <= count; });
    } else if (count > everything_) {
        std::uint64_t& known = marks_[what];
        if (count <= known) {
            return false;
        }
        known = count;
        if (marks_.size() > max_marks_) {
            for (const auto& [name, marked] : marks_) {
                everything_ = (std::max)(everything_, marked);
            }
            marks_.clear();
        }
    } else {
        return false;
    }
    if (count > count_.load(std::memory_order_relaxed)) {
        count_.store(count, std::memory_order_release);  // pairs with count()
    }
    version_.fetch_add(1, std::memory_order_acq_rel);
    return true;
}

}  // namespace levee::cache_detail
