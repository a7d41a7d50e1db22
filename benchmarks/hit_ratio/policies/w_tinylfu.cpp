#include "hit_ratio/policies/w_tinylfu.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace levee::lab {
namespace {

constexpr std::uint8_t most_counted = 15;
constexpr std::uint64_t sample_factor = 10;
constexpr double protected_share = 0.8;

std::uint64_t share_of(std::uint64_t whole, double share) {
    return static_cast<std::uint64_t>(static_cast<double>(whole) * share);
}

}  // namespace

w_tinylfu::w_tinylfu(const policy_setup& setup, double window_share)
    : held_(setup),
      links_(setup.distinct),
      window_(links_),
      probation_(links_),
      protected_(links_),
      window_limit_(std::max<std::uint64_t>(1, share_of(setup.capacity, window_share))),
      main_limit_(setup.capacity - std::min(window_limit_, setup.capacity)),
      protected_limit_(share_of(main_limit_, protected_share)),
      frequency_(setup.distinct, 0),
      place_(setup.distinct, place::none) {
    if (!(window_share >= 0 && window_share <= 1)) {
        throw std::invalid_argument("w_tinylfu: window_share is " + std::to_string(window_share) +
                                    "; it must be in [0, 1]");
    }
}

bool w_tinylfu::access(std::uint32_t id, std::uint32_t /*size*/) {
    count_request(id);
    switch (place_[id]) {
        case place::window:
            window_.renew(id);
            return true;
        case place::probation:
            promote(id);
            return true;
        case place::protected_segment:
            protected_.renew(id);
            return true;
        case place::none:
            break;
    }
    shrink_window();
    window_.push(id);
    place_[id] = place::window;
    held_.add(id, 1);
    return false;
}

void w_tinylfu::count_request(std::uint32_t id) {
    if (frequency_[id] < most_counted) {
        ++frequency_[id];
    }
    if (++requests_ >= sample_factor * held_.capacity()) {
        requests_ /= 2;
        for (auto& count : frequency_) {
            count >>= 1;
        }
    }
}

// Into the protected segment, whose oldest go back on probation when it is full.
void w_tinylfu::promote(std::uint32_t id) {
    probation_.erase(id);
    protected_.push(id);
    place_[id] = place::protected_segment;
    while (protected_.size() > protected_limit_) {
        const std::uint32_t demoted = protected_.pop();
        probation_.push(demoted);
        place_[demoted] = place::probation;
    }
}

// Makes room for one entry in the window.
void w_tinylfu::shrink_window() {
    if (window_.size() >= window_limit_) {
        enter_main(window_.pop());
    }
}

void w_tinylfu::enter_main(std::uint32_t candidate) {
    if (probation_.size() + protected_.size() < main_limit_) {
        probation_.push(candidate);
        place_[candidate] = place::probation;
        return;
    }
    std::uint32_t loser = candidate;
    if (main_limit_ > 0) {
        id_list& segment = probation_.empty() ? protected_ : probation_;
        if (frequency_[candidate] > frequency_[segment.oldest()]) {
            loser = segment.pop();
            probation_.push(candidate);
            place_[candidate] = place::probation;
        }
    }
    place_[loser] = place::none;
    held_.remove(loser);
}

}  // namespace levee::lab
