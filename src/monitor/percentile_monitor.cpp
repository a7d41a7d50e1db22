#include "levee/monitor/percentile_monitor.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>

namespace levee {
namespace detail {

recording_cell::~recording_cell() {
    for (auto& octave : octaves_) {
        delete octave.load(std::memory_order_relaxed);
    }
}

recording_cell::counts* recording_cell::make(std::size_t octave) noexcept {
    auto* made = new (std::nothrow) counts{};
    octaves_[octave].store(made, std::memory_order_release);
    return made;
}

void recording_cell::add_to(histogram& into) const {
    histogram mine;
    for (std::size_t i = 0; i < log_linear::octaves; ++i) {
        const counts* const octave = octaves_[i].load(std::memory_order_acquire);
        if (octave == nullptr) {
            continue;
        }
        auto& copy = mine.octave(i);
        for (std::size_t bucket = 0; bucket < log_linear::octave_size; ++bucket) {
            copy[bucket] = (*octave)[bucket].load(std::memory_order_relaxed);
            mine.count_ += copy[bucket];
        }
    }
    if (mine.count_ == 0) {
        return;
    }
    mine.sum_ = sum_.load(std::memory_order_relaxed);
    mine.min_ = min_.load(std::memory_order_relaxed);
    mine.max_ = max_.load(std::memory_order_relaxed);
    mine.tighten_extremes();
    into += mine;
}

}  // namespace detail

namespace {

histogram merged(const thread_cells<detail::recording_cell>& series) {
    histogram all;
    series.for_each([&all](const detail::recording_cell& cell) { cell.add_to(all); });
    return all;
}

std::optional<duration> as_duration(std::optional<std::uint64_t> nanoseconds) {
    constexpr auto longest = static_cast<std::uint64_t>(duration::max().count());
    if (!nanoseconds) {
        return std::nullopt;
    }
    return duration(static_cast<duration::rep>(std::min(*nanoseconds, longest)));
}

}  // namespace

latency_summary summarise(const histogram& nanoseconds) {
    const auto percentile = [&](double p) { return as_duration(nanoseconds.value_at_percentile(p)); };
    std::optional<duration> mean;
    if (const auto exact = nanoseconds.mean()) {
        mean = *exact < 0x1p63 ? duration(static_cast<duration::rep>(*exact)) : duration::max();
    }
    return {.count = nanoseconds.count(),
            .min = as_duration((nanoseconds.min)()),
            .max = as_duration((nanoseconds.max)()),
            .mean = mean,
            .p50 = percentile(50.0),
            .p90 = percentile(90.0),
            .p95 = percentile(95.0),
            .p99 = percentile(99.0),
            .p999 = percentile(99.9)};
}

struct percentile_monitor::registry {
    const std::size_t max_operations;
    const levee::clock& clock;
    std::atomic<std::uint64_t> lost{0};
    detail::operation_series overflow{std::string(overflow_name), clock, lost};
    std::atomic<bool> overflowed{false};

    mutable std::shared_mutex mutex{};  // guards `by_name`; the series themselves never move or go
    std::map<std::string, detail::operation_series, std::less<>> by_name{};

    // Null: not known.
    detail::operation_series* find_locked(std::string_view name) {
        const auto found = by_name.find(name);
        return found == by_name.end() ? nullptr : &found->second;
    }

    detail::operation_series& find_or_make(std::string_view name) {
        if (name == overflow_name) {
            overflowed.store(true, std::memory_order_relaxed);
            return overflow;
        }
        {
            const std::shared_lock lock(mutex);
            if (auto* const found = find_locked(name)) {
                return *found;
            }
            if (by_name.size() >= max_operations) {
                overflowed.store(true, std::memory_order_relaxed);
                return overflow;
            }
        }
        const std::unique_lock lock(mutex);
        if (auto* const found = find_locked(name)) {
            return *found;
        }
        if (by_name.size() >= max_operations) {
            overflowed.store(true, std::memory_order_relaxed);
            return overflow;
        }
        std::string key(name);
        return by_name.try_emplace(key, key, clock, lost).first->second;
    }

    const detail::operation_series* find(std::string_view name) {
        if (name == overflow_name) {
            return &overflow;
        }
        const std::shared_lock lock(mutex);
        return find_locked(name);
    }
};

percentile_monitor::percentile_monitor(const percentile_monitor_options& options) {
    if (options.max_operations == 0) {
        throw std::invalid_argument("percentile_monitor_options::max_operations is 0; it must be at least 1");
    }
    registry_.reset(new registry{options.max_operations, options.clock ? *options.clock : clock::precise()});
}

percentile_monitor::~percentile_monitor() = default;

percentile_monitor::handle percentile_monitor::operation(std::string_view name) {
    return handle(registry_->find_or_make(name));
}

void percentile_monitor::record(std::string_view name, duration latency) {
    operation(name).record(latency);
}

operation_histograms percentile_monitor::histograms(std::string_view name) const {
    const auto* const series = registry_->find(name);
    return series == nullptr ? operation_histograms{}
                             : operation_histograms{merged(series->succeeded), merged(series->failed)};
}

operation_stats percentile_monitor::stats(std::string_view name) const {
    const operation_histograms all = histograms(name);
    const latency_summary failed = summarise(all.failed);
    return {summarise(all.succeeded), failed.count, failed};
}

std::vector<std::string> percentile_monitor::names() const {
    std::vector<std::string> all;
    const std::shared_lock lock(registry_->mutex);
    for (const auto& [name, series] : registry_->by_name) {
        all.push_back(name);
    }
    if (registry_->overflowed.load(std::memory_order_relaxed)) {
        all.insert(std::lower_bound(all.begin(), all.end(), overflow_name), std::string(overflow_name));
    }
    return all;
}

std::uint64_t percentile_monitor::lost() const noexcept {
    return registry_->lost.load(std::memory_order_relaxed);
}

}  // namespace levee
