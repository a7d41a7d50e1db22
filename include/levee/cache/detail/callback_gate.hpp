/// What lets an object's end wait for the user's functions that it calls.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "levee/core/clock.hpp"

namespace levee::cache_detail {

/// The user's functions are called between `enter` and the end of the pass; after `close` none is running and
/// none is called any more.
///
/// Thread safety: safe.
class callback_gate {
public:
    /// True from its construction on, unless the gate was closed.
    class pass {
    public:
        explicit pass(callback_gate& of) : gate_(of), is_in_(of.enter()) {}
        ~pass() { leave(); }
        pass(const pass&) = delete;
        pass& operator=(const pass&) = delete;
        explicit operator bool() const noexcept { return is_in_; }
        void leave() noexcept {
            if (is_in_) {
                is_in_ = false;
                gate_.leave();
            }
        }

    private:
        callback_gate& gate_;
        bool is_in_;
    };

    /// Waits for the calls that are running, but not for those on this thread: it is one of them that closes.
    ///
    /// Blocks: until then, and no longer than `patience`, by when a function that must not block is broken.
    void close(duration patience = std::chrono::seconds(10)) noexcept {
        std::unique_lock lock(mutex_);
        is_closed_ = true;
        const auto others = [&] {
            std::size_t count = 0;
            for (const std::thread::id each : inside_) {
                count += each == std::this_thread::get_id() ? 0 : 1;
            }
            return count;
        };
        left_.wait_until(lock, after(clock::precise().now(), patience), [&] { return others() == 0; });
    }

private:
    [[nodiscard]] bool enter() {
        const std::lock_guard lock(mutex_);
        if (!is_closed_) {
            inside_.push_back(std::this_thread::get_id());
        }
        return !is_closed_;
    }
    void leave() noexcept {
        const std::lock_guard lock(mutex_);
        for (auto each = inside_.begin(); each != inside_.end(); ++each) {
            if (*each == std::this_thread::get_id()) {
                inside_.erase(each);
                break;
            }
        }
        left_.notify_all();  // under the lock: who waits may destroy this right after
    }

    std::mutex mutex_;  // guards below
    std::condition_variable left_;
    bool is_closed_ = false;
    std::vector<std::thread::id> inside_;
};

}  // namespace levee::cache_detail
