#include "levee/cache/detail/flight.hpp"

#include <algorithm>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::cache_detail {
namespace {

// A plain loader runs on one thread from start to end, so its thread is its identity.
constinit thread_local flight* current_flight = nullptr;

}  // namespace

flight::joined flight::join(flight_waiter& waiter, role as) {
    const std::lock_guard lock(mutex_);
    if (has_ended_) {
        return joined::ended;
    }
    if (is_stopping()) {
        return joined::stopping;
    }
    waiter.owns_loader_ = as == role::loader_owner || as == role::co_owner;
    link_locked(waiter);
    interested_ += as == role::guest || as == role::co_owner ? 1 : 0;
    return joined::yes;
}

bool flight::begin() noexcept {
    const std::lock_guard lock(mutex_);
    if (is_stopping()) {
        return false;
    }
    has_begun_ = true;
    return true;
}

void flight::leave(flight_waiter& waiter, flight_outcome why) noexcept {
    bool stops = false;
    bool stays = false;  // read under the lock: off it, finish() may already have freed the waiter
    {
        const std::lock_guard lock(mutex_);
        if (!waiter.is_linked_ || waiter.left_as_ != flight_outcome::result) {
            return;
        }
        --interested_;
        stops = interested_ == 0 && begin_stopping_locked();
        stays = waiter.owns_loader_ && has_begun_;
        if (stays) {
            waiter.left_as_ = why;
        } else {
            unlink_locked(waiter);
        }
    }
    const auto self = stops ? shared_from_this() : nullptr;  // the waiter may hold the last reference
    if (!stays) {
        waiter.finish(why);
    }
    if (stops) {
        on_stopping();
    }
}

void flight::soften() noexcept {
    flight_waiter* released = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (has_ended_) {
            return;
        }
        for (flight_waiter* waiter = waiters_; waiter != nullptr;) {
            flight_waiter* const next = waiter->next_;
            if (waiter->has_reserve_ && (!waiter->owns_loader_ || !has_begun_)) {
                unlink_locked(*waiter);
                waiter->left_as_ = flight_outcome::reserve;
                waiter->next_ = std::exchange(released, waiter);
            }
            waiter = next;
        }
        // Their interest stays, so that the flight does not stop for want of it.
    }
    const auto self = shared_from_this();
    release(released);
}

void flight::abandon(flight_outcome why) noexcept {
    flight_waiter* released = nullptr;
    bool stops = false;
    {
        const std::lock_guard lock(mutex_);
        if (has_ended_) {
            return;
        }
        stops = begin_stopping_locked();
        for (flight_waiter* waiter = waiters_; waiter != nullptr;) {
            flight_waiter* const next = waiter->next_;
            if (!waiter->owns_loader_ || !has_begun_) {
                unlink_locked(*waiter);
                waiter->left_as_ = why;
                waiter->next_ = std::exchange(released, waiter);
            } else if (waiter->left_as_ == flight_outcome::result) {
                waiter->left_as_ = why;
            }
            waiter = next;
        }
        interested_ = 0;
    }
    const auto self = shared_from_this();
    release(released);
    if (stops) {
        on_stopping();
    }
}

void flight::finish(bool succeeded) noexcept {
    flight_waiter* released = nullptr;
    std::vector<std::shared_ptr<flight>> edges;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(has_ended_, true)) {
            return;
        }
        released = std::exchange(waiters_, nullptr);
        for (flight_waiter* waiter = released; waiter != nullptr; waiter = waiter->next_) {
            waiter->is_linked_ = false;
            if (succeeded && waiter->left_as_ == flight_outcome::timeout) {
                waiter->left_as_ = flight_outcome::result;
            }
        }
        interested_ = 0;
        edges.swap(waits_for_);
    }
    const auto self = shared_from_this();
    release(released);
    on_ended();
}

void flight::release(flight_waiter* list) noexcept {
    while (list != nullptr) {
        flight_waiter* const waiter = std::exchange(list, list->next_);
        waiter->finish(waiter->left_as_);
    }
}

void flight::link_locked(flight_waiter& waiter) noexcept {
    waiter.next_ = waiters_;
    waiter.previous_ = nullptr;
    if (waiters_ != nullptr) {
        waiters_->previous_ = &waiter;
    }
    waiters_ = &waiter;
    waiter.is_linked_ = true;
}

void flight::unlink_locked(flight_waiter& waiter) noexcept {
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : waiters_) = waiter.next_;
    if (waiter.next_ != nullptr) {
        waiter.next_->previous_ = waiter.previous_;
    }
    waiter.next_ = nullptr;
    waiter.previous_ = nullptr;
    waiter.is_linked_ = false;
}

bool flight::begin_stopping_locked() noexcept {
    if (has_ended_ || is_stopping()) {
        return false;
    }
    is_stopping_.store(true, std::memory_order_release);  // pairs with is_stopping()
    return true;
}

bool flight::begin_wait(flight& awaited) {
    auto target = awaited.shared_from_this();
    {
        const std::lock_guard lock(mutex_);
        waits_for_.push_back(target);
    }
    if (reaches(target, *this)) {
        end_wait(awaited);
        return false;
    }
    return true;
}

void flight::end_wait(const flight& awaited) noexcept {
    std::shared_ptr<flight> dropped;  // destroyed off the lock
    const std::lock_guard lock(mutex_);
    const auto it = std::find_if(waits_for_.begin(), waits_for_.end(),
                                 [&](const auto& edge) { return edge.get() == &awaited; });
    if (it != waits_for_.end()) {
        dropped = std::move(*it);
        waits_for_.erase(it);
    }
}

bool flight::reaches(const std::shared_ptr<flight>& from, const flight& to) {
    std::vector<std::shared_ptr<flight>> open{from};
    std::vector<const flight*> seen;
    while (!open.empty()) {
        const std::shared_ptr<flight> at = std::move(open.back());
        open.pop_back();
        if (at.get() == &to) {
            return true;
        }
        if (std::find(seen.begin(), seen.end(), at.get()) != seen.end()) {
            continue;
        }
        seen.push_back(at.get());
        const std::lock_guard lock(at->mutex_);
        open.insert(open.end(), at->waits_for_.begin(), at->waits_for_.end());
    }
    return false;
}

flight* flight::current() noexcept {
    return current_flight;
}

loading_scope::loading_scope(flight& f) noexcept : outer_(std::exchange(current_flight, &f)) {}

loading_scope::~loading_scope() {
    current_flight = outer_;
}

wait_edge::wait_edge(std::shared_ptr<flight> waiting, std::shared_ptr<flight> awaited) {
    if (waiting == nullptr) {
        return;
    }
    if (!waiting->begin_wait(*awaited)) {
        throw error(errc::recursive_load);
    }
    waiting_ = std::move(waiting);
    awaited_ = std::move(awaited);
}

wait_edge::~wait_edge() {
    if (waiting_ != nullptr) {
        waiting_->end_wait(*awaited_);
    }
}

void blocking_waiter::finish(flight_outcome outcome) noexcept {
    // Notified under the lock: the waiting thread's frame, and this object with it, may go right after.
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
    is_finished_ = true;
    finished_.notify_one();
}

flight_outcome blocking_waiter::wait(flight& awaited) {
    std::unique_lock lock(mutex_);
    const auto is_finished = [this] { return is_finished_; };
    if (has_reserve() && awaited.soft_deadline() < awaited.deadline() &&
        !finished_.wait_until(lock, awaited.soft_deadline(), is_finished)) {
        lock.unlock();
        awaited.soften();  // the soft deadline, too, is everybody's
        lock.lock();
    }
    if (!finished_.wait_until(lock, awaited.deadline(), is_finished)) {
        lock.unlock();
        awaited.expire();  // the deadline is the flight's, so it is everybody's
        lock.lock();
        finished_.wait(lock, is_finished);
    }
    return outcome_;
}

}  // namespace levee::cache_detail
