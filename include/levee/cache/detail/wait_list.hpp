/// Those who wait until something has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "levee/cache/detail/wake_up.hpp"

namespace levee::cache_detail {

/// Thread safety: safe.
class wait_list {
public:
    /// From now on each `notify_all` wakes it; look once more at what is awaited before sleeping.
    [[nodiscard]] std::shared_ptr<wake_up> enter();
    void leave(const std::shared_ptr<wake_up>& one) noexcept;
    void notify_all() noexcept;

    /// Leaves when it goes out of scope.
    class place {
    public:
        explicit place(wait_list& in) : list_(in), mine_(in.enter()) {}
        ~place() { list_.leave(mine_); }
        place(const place&) = delete;
        place& operator=(const place&) = delete;
        [[nodiscard]] const std::shared_ptr<wake_up>& bell() const noexcept { return mine_; }

    private:
        wait_list& list_;
        const std::shared_ptr<wake_up> mine_;
    };

private:
    std::atomic<std::size_t> count_{0};
    std::mutex mutex_;  // guards below
    std::vector<std::shared_ptr<wake_up>> waiting_;
};

}  // namespace levee::cache_detail
