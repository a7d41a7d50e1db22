/// What is on the disk about dead letters besides themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "levee/cache/detail/write_log.hpp"
#include "levee/cache/detail/write_record.hpp"

namespace levee::cache_detail {

/// The records that say which letters are older than a write. Outlives the letters, for those who wait until
/// a write is safe.
///
/// Thread safety: safe.
class letter_notes {
public:
    letter_notes(std::shared_ptr<write_log> log, std::vector<std::uint64_t> there)
        : log_(std::move(log)), kept_(std::move(there)) {}

    /// On its way to the disk, and not waited for.
    void supersede(std::span<const std::uint64_t> ids) noexcept {
        try {
            const std::lock_guard lock(mutex_);
            for (const std::uint64_t id : ids) {
                const std::uint64_t note =
                    log_->append(encode({.what = write_record::kind::superseded, .id = id}));
                kept_.push_back(note);
                log_->when_durable(note);
            }
        } catch (...) {
            return;
        }
    }
    /// There are no letters: they are to be released.
    [[nodiscard]] std::vector<std::uint64_t> take() noexcept {
        const std::lock_guard lock(mutex_);
        return std::exchange(kept_, {});
    }

private:
    const std::shared_ptr<write_log> log_;
    std::mutex mutex_;  // guards below
    std::vector<std::uint64_t> kept_;
};

}  // namespace levee::cache_detail
