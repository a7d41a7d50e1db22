#include "monitor/series_history.hpp"

#include <algorithm>
#include <utility>

namespace levee::monitor_detail {

void snapshot_times::add(time_point now) {
    times_.push_back(now);
    for (std::size_t window = 0; window < lengths.size(); ++window) {
        std::uint64_t& begin = begins_[window];
        while (begin + 1 < next() &&
               after(times_[static_cast<std::size_t>(begin + 1 - first_)], lengths[window]) <= now) {
            ++begin;
        }
    }
    const std::uint64_t needed = *std::min_element(begins_.begin(), begins_.end());
    for (; first_ < needed; ++first_) {
        times_.pop_front();
    }
}

void series_history::add(std::uint64_t number, histogram total) {
    if (total.count() == last_.count()) {
        return;
    }
    additions_.push_back({number, (total - last_).serialise()});
    last_ = std::move(total);
}

void series_history::advance(const snapshot_times& times) {
    std::uint64_t in_all = forgotten_ + additions_.size();
    for (std::size_t window = 0; window < bases_.size(); ++window) {
        base& from = bases_[window];
        for (auto i = static_cast<std::size_t>(from.additions - forgotten_);
             i < additions_.size() && additions_[i].number <= times.begin_of(window); ++i) {
            from.whole += histogram::deserialise(additions_[i].added);
            ++from.additions;
        }
        in_all = std::min(in_all, from.additions);
    }
    for (; forgotten_ < in_all; ++forgotten_) {
        additions_.pop_front();
    }
}

}  // namespace levee::monitor_detail
