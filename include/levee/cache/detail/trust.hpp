/// Whether what L1 holds may be trusted: the gaps of the backplane, its link, and the marks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "levee/cache/detail/local_entry.hpp"
#include "levee/cache/detail/mark_table.hpp"
#include "levee/core/clock.hpp"
#include "levee/store/backplane.hpp"

namespace levee::cache_detail {

/// A hit is trusted iff nothing was missed since its load began, the link to the peers works, and no mark
/// has made it invalid. The time is compared at each hit, so that a process that was stopped and continued
/// is not fooled by timers that did not run.
///
/// Thread safety: safe. Cost: `is_trusted` is three loads.
class trust {
public:
    enum class standing : std::uint8_t { trusted, suspect, invalid };

    /// `link` may be null: nobody tells of changes, nothing is missed. `grace`: how long a suspect entry
    /// may stand in when the remote level cannot be asked.
    trust(std::shared_ptr<backplane> link, duration grace) : link_(std::move(link)), grace_(grace) {
        if (link_ == nullptr) {
            link_until_.store((time_point::max)().time_since_epoch().count(), std::memory_order_relaxed);
        }
    }

    /// The gaps so far. It never goes back, nor does the version, which counts the marks as well.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint32_t version() const noexcept { return marks_.version(); }

    /// The common case of `judge`: nothing has happened since the entry was last checked.
    [[nodiscard]] bool is_trusted(const entry_meta& e, time_point now) const noexcept {
        return e.trusted_at.get() == version() && is_linked(now);
    }

    /// `key`: gives the key's text, if it is needed.
    template <class Key>
    [[nodiscard]] standing judge(const entry_meta& e, time_point now, Key&& key) const {
        const std::uint32_t checked = version();
        if (e.epoch != epoch() || !is_linked(now)) {
            return is_marked(e, key) ? standing::invalid : standing::suspect;
        }
        if (e.trusted_at.get() != checked) {
            if (is_marked(e, key)) {
                return standing::invalid;
            }
            e.trusted_at.set(checked);
        }
        return standing::trusted;
    }

    /// Until when a suspect entry may stand in: the grace begins with the last gap or when the link was last
    /// seen to work, whichever is later.
    [[nodiscard]] time_point suspect_until() const noexcept {
        const time_point since{duration(suspect_since_.load(std::memory_order_relaxed))};
        const time_point worked{duration(worked_until_.load(std::memory_order_relaxed))};
        return after((std::max)(since, worked), grace_);
    }

    /// Messages may have been missed: all that is held has become suspect.
    void on_gap(time_point now) noexcept {
        suspect_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_acq_rel);
        marks_.touch();  // after the epoch: who sees the version sees it
    }

    [[nodiscard]] bool is_linked(time_point now) const noexcept {
        if (now.time_since_epoch().count() < link_until_.load(std::memory_order_relaxed)) [[likely]] {
            return true;
        }
        return look_at_link(now);
    }

    [[nodiscard]] mark_table& marks() noexcept { return marks_; }
    [[nodiscard]] const mark_table& marks() const noexcept { return marks_; }

private:
    [[nodiscard]] bool look_at_link(time_point now) const noexcept;

    template <class Key>
    [[nodiscard]] bool is_marked(const entry_meta& e, Key& key) const {
        if (e.stamp >= marks_.count()) {
            return false;
        }
        static const std::vector<std::string> none;
        return !marks_.is_valid(e.stamp, key(), e.tags != nullptr ? *e.tags : none);
    }

    const std::shared_ptr<backplane> link_;
    const duration grace_;
    mark_table marks_{};
    std::atomic<std::uint32_t> epoch_{1};
    mutable std::atomic<time_point::rep> link_until_{(time_point::min)().time_since_epoch().count()};
    mutable std::atomic<time_point::rep> worked_until_{0};  // 0: not looked at yet
    std::atomic<time_point::rep> suspect_since_{0};
};

}  // namespace levee::cache_detail
