/// One event for the state machine: the change under the mutex, and what follows from it after.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "levee/pool/detail/pool_core.hpp"
#include "pool/pool_job.hpp"

namespace levee::pool_detail {

/// An action with what was taken out of the core under the mutex to carry it out.
struct pool_core::deed {
    pool_action what;
    pool_waiter* waiter = nullptr;
    std::shared_ptr<pool_job> job{};
    connection_ptr connection{};
    pool_event event{};
    std::exception_ptr former_error{};  // the factory's own type: not destroyed under the mutex
};

/// `step(core, change)`: calls `change(now)` under the mutex and then, off it, carries out what it left in
/// `actions_`. The core must be kept alive by the caller.
class pool_core::step {
public:
    template <class Change>
    step(pool_core& core, Change&& change) : core_(core) {
        {
            const std::lock_guard lock(core.mutex_);
            now_ = core.time_->now();
            std::forward<Change>(change)(now_);
            collect();
        }
        carry_out();
    }
    step(const step&) = delete;
    step& operator=(const step&) = delete;

private:
    void collect();
    void collect_drained();
    void arm();
    void carry_out() noexcept;
    void carry_out(deed& each) noexcept;

    pool_core& core_;
    time_point now_{};
    pool_event news_{};
    std::vector<deed> deeds_;
    std::vector<pool_waiter*> drained_;
    std::vector<pool_waiter*> not_drained_;
    std::shared_ptr<pool_timer> to_start_;
    std::shared_ptr<pool_timer> to_stop_;
    std::shared_ptr<pool_core> last_lease_;
};

}  // namespace levee::pool_detail
