#include "redis/unsent_messages.hpp"

#include <algorithm>

namespace levee::redis::detail {

unsent_messages::place unsent_messages::place_of(const backplane_message& message) {
    return {message.name_space, message.name, message.what == change::marked};
}

void unsent_messages::add(const backplane_message& message) {
    const std::lock_guard lock(mutex_);
    ++now_;
    if (everything_ != 0) {
        everything_ = now_;
        return;
    }
    entry& kept = waiting_.try_emplace(place_of(message), entry{message, now_}).first->second;
    kept.added = now_;
    kept.message.sender = message.sender;
    kept.message.count = (std::max)(kept.message.count, message.count);
    if (message.what == change::invalidated) {
        kept.message.what = message.what;
    }
    if (waiting_.size() > max_messages_) {
        waiting_.clear();
        everything_ = now_;
    }
}

std::optional<unsent_messages::letter> unsent_messages::next() const {
    const std::lock_guard lock(mutex_);
    letter one;
    one.until = now_;
    if (everything_ != 0) {
        one.linked.is_everything = true;
    } else if (!waiting_.empty()) {
        one.linked.message = waiting_.begin()->second.message;
    } else {
        return std::nullopt;
    }
    return one;
}

std::uint64_t unsent_messages::now() const {
    const std::lock_guard lock(mutex_);
    return now_;
}

void unsent_messages::confirm(const linked_message& sent, std::uint64_t until) {
    const std::lock_guard lock(mutex_);
    if (sent.is_everything) {
        if (everything_ <= until) {
            everything_ = 0;
        }
        return;
    }
    const auto found = waiting_.find(place_of(sent.message));
    if (found == waiting_.end()) {
        return;
    }
    const backplane_message& kept = found->second.message;
    if (found->second.added <= until && kept.count <= sent.message.count &&
        (kept.what == sent.message.what || sent.message.what == change::invalidated)) {
        waiting_.erase(found);
    }
}

std::size_t unsent_messages::size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size() + (everything_ != 0 ? 1 : 0);
}

}  // namespace levee::redis::detail
