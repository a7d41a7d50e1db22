#include "levee/store/memory_backplane.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <vector>

namespace levee {
namespace {

// Calls under way are counted, so that the end of a subscription can wait for them without a lock being
// held while a handler runs.
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

using subscriber_list = std::vector<std::shared_ptr<subscriber>>;

// All are told, whatever one throws; the first exception passes in the end.
template <class Tell>
void tell_all(const subscriber_list& all, const Tell& tell) {
    std::exception_ptr failed;
    for (const auto& each : all) {
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

}  // namespace

struct memory_backplane::list_of_subscribers {
    mutable std::mutex mutex{};  // guards `all`
    subscriber_list all{};

    [[nodiscard]] subscriber_list now() const {
        const std::lock_guard lock(mutex);
        return all;
    }
};

memory_backplane::memory_backplane() : list_(std::make_shared<list_of_subscribers>()) {}
memory_backplane::~memory_backplane() = default;

void memory_backplane::publish(backplane_message message) {
    tell_all(list_->now(), [&message](subscriber& each) { each.hear(message); });
}

boost::asio::awaitable<void> memory_backplane::async_publish(backplane_message message) {
    publish(std::move(message));
    co_return;
}

backplane_subscription memory_backplane::subscribe(message_handler on_message, gap_handler on_gap) {
    auto added = std::make_shared<subscriber>(std::move(on_message), std::move(on_gap));
    std::function<void()> end = [list = list_, added] {
        {
            const std::lock_guard lock(list->mutex);
            std::erase(list->all, added);
        }
        added->end();
    };
    const std::lock_guard lock(list_->mutex);
    list_->all.push_back(std::move(added));
    return backplane_subscription(std::move(end));
}

void memory_backplane::report_gap() {
    tell_all(list_->now(), [](subscriber& each) { each.hear_gap(); });
}

std::size_t memory_backplane::subscribers() const {
    return list_->now().size();
}

}  // namespace levee
