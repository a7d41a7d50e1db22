#include "sqlite/connection_pool.hpp"

#include <chrono>
#include <string>

#include "levee/core/clock.hpp"
#include "levee/core/error.hpp"
#include "sqlite/failure.hpp"

namespace levee::sqlite::detail {

connection_pool::connection_pool(const table_options& options, access mode, std::size_t most)
    : options_(options), mode_(mode), most_(most) {
    idle_.reserve(most);  // so that giving back does not allocate
}

connection_pool::lease connection_pool::acquire() {
    if (std::unique_ptr<connection> idle = take()) {
        return lease(*this, std::move(idle));
    }
    std::unique_ptr<connection> opened;
    try {
        opened = std::make_unique<connection>(options_, mode_);
    } catch (...) {
        give_back(nullptr);
        throw;
    }
    return lease(*this, std::move(opened));
}

/// An idle connection, or null: the caller may open one.
std::unique_ptr<connection> connection_pool::take() {
    // The real clock, like SQLite's own waiting for locks, which no injected clock could drive.
    const time_point deadline = after(std::chrono::steady_clock::now(), options_.busy_timeout);
    std::unique_lock lock(mutex_);
    if (!returned_.wait_until(lock, deadline, [&] { return !idle_.empty() || open_ < most_; })) {
        throw error(
            errc::timeout,
            "cannot use " + place(options_.path, options_.table) + ": " +
                (most_ == 1 ? "the only connection" : "all " + std::to_string(most_) + " connections") +
                " for " + (mode_ == access::writing ? "writing" : "reading") + " stayed busy for " +
                std::to_string(options_.busy_timeout.count()) + " ns; nothing was done");
    }
    if (idle_.empty()) {
        ++open_;
        return nullptr;
    }
    std::unique_ptr<connection> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
}

void connection_pool::give_back(std::unique_ptr<connection> returned) noexcept {
    if (returned && !returned->is_usable()) {
        returned.reset();
    }
    {
        const std::scoped_lock lock(mutex_);
        if (returned) {
            idle_.push_back(std::move(returned));
        } else {
            --open_;
        }
    }
    returned_.notify_one();
}

}  // namespace levee::sqlite::detail
