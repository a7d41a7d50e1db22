// What a pool says: errors and events.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "levee/pool/detail/pool_core.hpp"
#include "levee/pool/holder_label.hpp"

namespace levee {

std::string holder_label::to_string() const {
    if (text_ == nullptr) {
        return "unnamed";
    }
    if (line_ == 0) {
        return text_;
    }
    const char* const slash = std::strrchr(text_, '/');
    return std::string(slash != nullptr ? slash + 1 : text_) + ":" + std::to_string(line_);
}

namespace pool_detail {
namespace {

constexpr std::size_t holders_named = 3;

std::string text_of(duration span) {
    std::array<char, 32> text{};
    const double seconds = std::chrono::duration<double>(span).count();
    const bool is_short = seconds < 0.9995;  // which three digits would make 1000 ms
    const double value = is_short ? seconds * 1e3 : seconds;
    std::snprintf(text.data(), text.size(), value < 999.5 ? "%.3g %s" : "%.0f %s", value,
                  is_short ? "ms" : "s");
    return text.data();
}

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an exception of unknown type";
    }
}

errc code_of(pool_failure why) {
    switch (why) {
        case pool_failure::queue_full:
            return errc::unavailable;
        case pool_failure::cancelled:
            return errc::cancelled;
        case pool_failure::closed:
            return errc::closed;
        case pool_failure::exhausted:
        case pool_failure::connecting:
        case pool_failure::database_down:
            break;
    }
    return errc::timeout;
}

}  // namespace

std::vector<pool_holder> pool_core::longest_holders() const {
    const time_point now = clock_->now();
    std::vector<std::pair<duration, holder_label>> all;
    for (std::uint32_t i = 0; i < state_.slot_count(); ++i) {
        const pool_slot& slot = state_.slot(i);
        if (slot.leased_since.load(std::memory_order_relaxed) != 0) {
            all.emplace_back(slot.held_for(now), slot.label());
        }
    }
    const std::size_t named = (std::min)(holders_named, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(named), all.end(),
                      [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<pool_holder> result;
    result.reserve(named);
    for (std::size_t i = 0; i < named; ++i) {
        result.push_back({all[i].second.to_string(), all[i].first});
    }
    return result;
}

std::exception_ptr pool_core::make_error(pool_failure why) const {
    pool_error::details all;
    all.reason = why;
    all.holders = longest_holders();
    std::uint64_t failures = 0;
    {
        const std::lock_guard lock(mutex_);
        all.last_connect_error = last_connect_error_;
        failures = state_.connect_failures_in_row();
    }
    std::string what = "acquire from pool \"" + options_.name + "\": ";
    switch (why) {
        case pool_failure::exhausted: {
            what += "all " + std::to_string(options_.max_size) + " connections are held";
            const char* separator = ", for the longest time by ";
            for (const pool_holder& each : all.holders) {
                what += separator + each.label + " (" + text_of(each.held_for) + ")";
                separator = ", ";
            }
            break;
        }
        case pool_failure::connecting:
            what += "no connection was made or checked in time";
            break;
        case pool_failure::database_down:
            what +=
                "no connection could be made in " + std::to_string(failures) +
                " tries; the last one failed with \"" +
                (all.last_connect_error ? text_of(all.last_connect_error) : std::string("nothing known")) +
                "\"";
            break;
        case pool_failure::queue_full:
            what += std::to_string(options_.max_waiters) + " callers wait already";
            break;
        case pool_failure::cancelled:
            what += "given up";
            break;
        case pool_failure::closed:
            what += "no longer open";
            break;
    }
    return std::make_exception_ptr(pool_error(code_of(why), what, std::move(all)));
}

void pool_core::tell(const pool_event& event) const noexcept {
    if (has_observer_) {
        try {
            options_.observer(event);
        } catch (...) {  // NOLINT(bugprone-empty-catch): its failure must not lose a connection
        }
    }
}

void pool_core::tell_acquired(std::uint32_t slot, duration waited) const noexcept {
    const pool_slot& at = state_.slot(slot);
    tell({.kind = pool_event_kind::acquired, .connection = at.serial, .label = at.label(), .took = waited});
}

}  // namespace pool_detail
}  // namespace levee
