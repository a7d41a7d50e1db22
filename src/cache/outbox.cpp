#include "levee/cache/detail/outbox.hpp"

#include <algorithm>

namespace levee::cache_detail {

void outbox::add(const std::string& key, bool erases) {
    const std::lock_guard lock(mutex_);
    if (keys_.size() >= max_keys_ && !keys_.contains(key)) {
        keys_.clear();
        marks_[""] = ++last_serial_;
    } else if (!marks_.contains("")) {
        item& kept = keys_[key];
        kept.erases = kept.erases || erases;
        kept.serial = ++last_serial_;
    } else {
        marks_[""] = ++last_serial_;  // told after this, it covers this key
    }
    count_locked();
}

void outbox::add_mark(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (marks_.size() >= max_keys_ && !marks_.contains(what)) {
        marks_.clear();
        marks_[""] = ++last_serial_;
    } else {
        marks_[what] = ++last_serial_;
    }
    count_locked();
}

bool outbox::holds(const std::string& key) const {
    if (is_empty()) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    if (!marks_.empty()) {
        return true;  // whose names the key belongs to is not known before its entry is read
    }
    const auto found = keys_.find(key);
    return found != keys_.end() && found->second.erases;
}

std::vector<outbox::letter> outbox::next(std::size_t most) const {
    const std::lock_guard lock(mutex_);
    std::vector<letter> all;
    all.reserve(marks_.size() + (std::min)(most, keys_.size()));
    for (const auto& [what, serial] : marks_) {
        all.push_back({.name = what, .is_mark = true, .erases = true, .serial = serial});
    }
    for (auto it = keys_.begin(); it != keys_.end() && all.size() < most; ++it) {
        all.push_back({.name = it->first, .erases = it->second.erases, .serial = it->second.serial});
    }
    return all;
}

void outbox::confirm(const letter& told) {
    const std::lock_guard lock(mutex_);
    if (told.is_mark) {
        const auto found = marks_.find(told.name);
        if (found != marks_.end() && found->second == told.serial) {
            marks_.erase(found);
        }
    } else {
        const auto found = keys_.find(told.name);
        if (found != keys_.end() && found->second.serial == told.serial) {
            keys_.erase(found);
        }
    }
    count_locked();
}

}  // namespace levee::cache_detail
