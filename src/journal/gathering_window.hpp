/// Whether who leads a sync should first let others come.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "levee/core/clock.hpp"

namespace levee::journal_detail {

/// Writers that wait for their record each time come back right after the sync that served them. A leader
/// that syncs before they are back serves half of them, the next leader the other half, and so on in turns:
/// twice the syncs. So a leader waits until as many wait as there were writers lately, but for half the time
/// that a sync takes at most; and when they do not come, the next ones do not wait for them at all: 2 syncs
/// long, then 4, up to 256. A lone writer waits for nobody. (PostgreSQL's commit_delay and commit_siblings,
/// set by what is observed.)
///
/// Thread safety: unsafe.
class gathering_window {
public:
    /// How long to wait, and for how many to wait in all, the leader among them. Zero: not at all.
    struct plan {
        duration within{};
        std::size_t until = 0;
    };
    [[nodiscard]] plan next(std::size_t waiting) noexcept {
        if (waiting >= expected_ || sync_time_ == duration::zero()) {
            return {};
        }
        if (pause_ > 0) {
            --pause_;
            return {};
        }
        return {.within = std::min<duration>(sync_time_ / 2, std::chrono::milliseconds(1)),
                .until = expected_};
    }

    /// How a wait that `next` advised ended.
    void ended(bool have_come) noexcept {
        pause_ = have_come ? 0 : next_pause_;
        next_pause_ = have_come ? 2 : std::min<std::size_t>(2 * next_pause_, 256);
    }

    /// A sync took so long; so many writers there were at its end, served by it or waiting for the next.
    void synced(duration took, std::size_t writers) noexcept {
        sync_time_ = sync_time_ == duration::zero() ? took : (7 * sync_time_ + took) / 8;
        expected_ = writers;
    }

private:
    duration sync_time_{};
    std::size_t expected_ = 0;  // who waited when the last sync ended
    std::size_t pause_ = 0;     // syncs without waiting
    std::size_t next_pause_ = 2;
};

}  // namespace levee::journal_detail
