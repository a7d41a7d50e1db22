/// Who hears what a backplane's link brings; shared by the backplanes.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "levee/store/backplane.hpp"

namespace levee::store_detail {

/// One pair of handlers. Calls under way are counted, so that the end of a subscription can wait for them
/// without a lock being held while a handler runs.
class subscriber {
public:
    subscriber(backplane::message_handler on_message, backplane::gap_handler on_gap)
        : on_message_(std::move(on_message)), on_gap_(std::move(on_gap)) {}

    void hear(const backplane_message& message) {
        const running_call running(*this);
        if (running.may_call && on_message_) {
            on_message_(message);
        }
    }

    void hear_gap() {
        const running_call running(*this);
        if (running.may_call && on_gap_) {
            on_gap_();
        }
    }

    void end() noexcept {
        std::unique_lock lock(mutex_);
        has_ended_ = true;
        idle_.wait(lock, [this] { return running_ == 0; });
    }

private:
    struct running_call {
        explicit running_call(subscriber& called) : of(called) {
            const std::lock_guard lock(of.mutex_);
            may_call = !of.has_ended_;
            ++of.running_;
        }
        ~running_call() {
            const std::lock_guard lock(of.mutex_);
            if (--of.running_ == 0) {
                of.idle_.notify_all();
            }
        }
        running_call(const running_call&) = delete;
        running_call& operator=(const running_call&) = delete;
        subscriber& of;
        bool may_call = false;
    };

    const backplane::message_handler on_message_;
    const backplane::gap_handler on_gap_;
    std::mutex mutex_{};  // guards the two below
    std::condition_variable idle_{};
    std::size_t running_ = 0;
    bool has_ended_ = false;
};

/// Thread safety: safe.
class subscriber_list : public std::enable_shared_from_this<subscriber_list> {
public:
    [[nodiscard]] backplane_subscription add(backplane::message_handler on_message,
                                             backplane::gap_handler on_gap) {
        auto added = std::make_shared<subscriber>(std::move(on_message), std::move(on_gap));
        std::function<void()> end = [list = shared_from_this(), added] {
            {
                const std::lock_guard lock(list->mutex_);
                std::erase(list->all_, added);
            }
            added->end();
        };
        const std::lock_guard lock(mutex_);
        all_.push_back(std::move(added));
        return backplane_subscription(std::move(end));
    }

    /// All are told, whatever one throws; the first exception passes in the end.
    void tell(const backplane_message& message) const {
        for_each([&message](subscriber& each) { each.hear(message); });
    }
    void tell_gap() const {
        for_each([](subscriber& each) { each.hear_gap(); });
    }

    [[nodiscard]] std::size_t size() const { return now().size(); }

private:
    [[nodiscard]] std::vector<std::shared_ptr<subscriber>> now() const {
        const std::lock_guard lock(mutex_);
        return all_;
    }

    template <class Tell>
    void for_each(const Tell& tell) const {
        std::exception_ptr failed;
        for (const auto& each : now()) {
            try {
                tell(*each);
            } catch (...) {
                failed = failed ? failed : std::current_exception();
            }
        }
        if (failed) {
            std::rethrow_exception(failed);
        }
    }

    mutable std::mutex mutex_{};  // guards `all_`
    std::vector<std::shared_ptr<subscriber>> all_{};
};

}  // namespace levee::store_detail
