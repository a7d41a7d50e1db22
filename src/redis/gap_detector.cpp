#include "redis/gap_detector.hpp"

#include <algorithm>

namespace levee::redis::detail {

bool gap_detector::hear(std::uint64_t link, std::uint64_t number) {
    ++heard_;
    const auto found = links_.find(link);
    if (found == links_.end()) {
        make_room();
        links_[link] = {number, heard_};
        return false;
    }
    place& last = found->second;
    last.heard_at = heard_;
    if (number <= last.number) {
        return false;
    }
    const bool is_gap = number != last.number + 1;
    last.number = number;
    return is_gap;
}

void gap_detector::make_room() {
    if (links_.size() < max_links_) {
        return;
    }
    const auto oldest = std::min_element(links_.begin(), links_.end(), [](const auto& a, const auto& b) {
        return a.second.heard_at < b.second.heard_at;
    });
    links_.erase(oldest);
}

}  // namespace levee::redis::detail
