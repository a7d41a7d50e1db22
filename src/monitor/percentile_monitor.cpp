#include "levee/monitor/percentile_monitor.hpp"

#include "levee/core/epoch.hpp"
#include "monitor/series_history.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace levee {
namespace {

using monitor_detail::series_history;
using monitor_detail::snapshot_times;

using series_cells = thread_objects<detail::recording_cell>;

histogram merged(const series_cells& series) {
    histogram all;
    series.for_each([&all](const detail::recording_cell& cell) { cell.add_to(all); });
    detail::recording_cell::finish(all);
    return all;
}

std::uint64_t activity_of(const series_cells& series) {
    std::uint64_t sum = 0;
    series.for_each([&sum](const detail::recording_cell& cell) { sum += cell.activity(); });
    return sum;
}

void take_snapshot(const series_cells& series, series_history& history, std::uint64_t number) {
    const std::uint64_t activity = activity_of(series);  // first: what comes meanwhile is seen the next time
    if (history.has_changed(activity)) {
        history.add(number, merged(series));
        history.set_activity(activity);
    }
}

// An operation, and what the windows need of it.
struct tracked_operation : detail::operation_series {
    tracked_operation(std::string called, const time_stamp_counter& clock, std::atomic<std::uint64_t>& losses)
        : operation_series{std::move(called), clock, losses} {}

    series_history succeeded_before{}, failed_before{};  // under the registry's mutex of snapshots
};

// An operation's calls, read once for all windows: of one moment, as far as there is one.
struct reading {
    std::array<operation_histograms, 3> of{};  // by `window`
};

}  // namespace

struct percentile_monitor::registry {
    explicit registry(const percentile_monitor_options& options)
        : max_operations(options.max_operations),
          clock(options.clock ? *options.clock : clock::precise()),
          timer(options.clock ? std::make_unique<time_stamp_counter>(*options.clock)
                              : std::make_unique<time_stamp_counter>()) {}
    ~registry() { delete index.load(std::memory_order_relaxed); }
    registry(const registry&) = delete;
    registry& operator=(const registry&) = delete;

    // By name, immutable, so that looking one up neither waits for whoever adds one nor holds it up. The
    // names are the operations' own.
    using name_index = std::unordered_map<std::string_view, tracked_operation*>;

    const std::size_t max_operations;
    const levee::clock& clock;
    const std::unique_ptr<time_stamp_counter> timer;
    std::atomic<std::uint64_t> lost{0};
    tracked_operation overflow{std::string(overflow_name), *timer, lost};
    std::atomic<bool> overflowed{false};

    std::atomic<const name_index*> index{new name_index};  // read within a pin
    std::mutex mutex{};  // guards changes of the index, and the two below; operations never move or go
    std::map<std::string, tracked_operation, std::less<>> by_name{};
    retire_list retired{};

    std::mutex snapshots{};  // guards `times` and each operation's history; taken before `mutex`
    snapshot_times times{clock.now()};

    // Null: not known.
    tracked_operation* find(std::string_view name) {
        if (name == overflow_name) {
            return &overflow;
        }
        const auto pinned = epoch::pin();
        const name_index& all = *index.load(std::memory_order_acquire);
        const auto found = all.find(name);
        return found == all.end() ? nullptr : found->second;
    }

    tracked_operation& find_or_make(std::string_view name) noexcept {
        if (name != overflow_name) {
            if (auto* const found = find(name)) {
                return *found;
            }
            if (name.size() <= max_name_size) {
                try {
                    if (auto* const made = make(name)) {
                        return *made;
                    }
                } catch (const std::bad_alloc&) {  // counted somewhere, rather than not at all
                }
            }
        }
        overflowed.store(true, std::memory_order_relaxed);
        return overflow;
    }

    // Null: there are too many.
    tracked_operation* make(std::string_view name) {
        const std::lock_guard lock(mutex);
        const auto found = by_name.find(name);
        if (found != by_name.end()) {
            return &found->second;
        }
        if (by_name.size() >= max_operations) {
            return nullptr;
        }
        auto next = std::make_unique<name_index>(*index.load(std::memory_order_relaxed));
        const auto made = by_name.try_emplace(std::string(name), std::string(name), *timer, lost).first;
        try {
            next->emplace(made->second.name, &made->second);
            retired.reserve(1);
        } catch (...) {
            by_name.erase(made);
            throw;
        }
        const name_index* const before = index.exchange(next.release(), std::memory_order_acq_rel);
        retired.retire(const_cast<name_index*>(before));
        retired.collect();
        return &made->second;
    }

    // In alphabetical order. The lock is not held while they are read, so that new names need not wait.
    std::vector<tracked_operation*> all() {
        std::vector<tracked_operation*> found;
        const std::lock_guard lock(mutex);
        found.reserve(by_name.size() + 1);
        for (auto& [name, series] : by_name) {
            found.push_back(&series);
        }
        if (overflowed.load(std::memory_order_relaxed)) {
            const auto behind = [](const tracked_operation* series, std::string_view name) {
                return series->name < name;
            };
            found.insert(std::lower_bound(found.begin(), found.end(), overflow_name, behind), &overflow);
        }
        return found;
    }

    // With `snapshots` held. If it fails, it is tried again, under the same number.
    void take_snapshot_locked() {
        const time_point now = clock.now();
        if (!times.is_due(now)) {
            return;
        }
        timer->recheck();
        const std::vector<tracked_operation*> operations = all();
        for (tracked_operation* const series : operations) {
            take_snapshot(series->succeeded, series->succeeded_before, times.next());
            take_snapshot(series->failed, series->failed_before, times.next());
        }
        times.add(now);
        for (tracked_operation* const series : operations) {  // else who reads would have to, all at once
            series->succeeded_before.advance(times);
            series->failed_before.advance(times);
        }
    }

    reading read_locked(tracked_operation& series) const {
        series.succeeded_before.advance(times);
        series.failed_before.advance(times);
        const operation_histograms all{merged(series.succeeded), merged(series.failed), {}};
        const time_point now = clock.now();
        const auto span_since = [now](time_point begin) { return std::max(now - begin, duration::zero()); };
        reading made;
        made.of.fill(all);
        made.of[0].span = span_since(times.begin());
        for (std::size_t i = 0; i < snapshot_times::lengths.size(); ++i) {
            operation_histograms& recent = made.of[i + 1];
            recent.succeeded -= series.succeeded_before.at_begin_of(i);
            recent.failed -= series.failed_before.at_begin_of(i);
            recent.span = span_since(times.time_of(i));
        }
        return made;
    }

    operation_stats stats_locked(tracked_operation& series) const {
        const reading calls = read_locked(series);
        return {summarise(calls.of[0]), summarise(calls.of[1]), summarise(calls.of[2])};
    }
};

percentile_monitor::percentile_monitor(const percentile_monitor_options& options) {
    if (options.max_operations == 0) {
        throw std::invalid_argument("percentile_monitor_options::max_operations is 0; it must be at least 1");
    }
    registry_ = std::make_unique<registry>(options);
}

percentile_monitor::~percentile_monitor() = default;

percentile_monitor::handle percentile_monitor::operation(std::string_view name) noexcept {
    return handle(registry_->find_or_make(name));
}

void percentile_monitor::record(std::string_view name, duration latency) noexcept {
    operation(name).record(latency);
}

void percentile_monitor::tick() const {
    const std::lock_guard lock(registry_->snapshots);
    registry_->take_snapshot_locked();
}

operation_histograms percentile_monitor::histograms(std::string_view name, window of) const {
    const std::lock_guard lock(registry_->snapshots);
    registry_->take_snapshot_locked();
    auto* const series = registry_->find(name);
    return series == nullptr ? operation_histograms{}
                             : std::move(registry_->read_locked(*series).of[static_cast<std::size_t>(of)]);
}

operation_stats percentile_monitor::stats(std::string_view name) const {
    const std::lock_guard lock(registry_->snapshots);
    registry_->take_snapshot_locked();
    auto* const series = registry_->find(name);
    return series == nullptr ? operation_stats{} : registry_->stats_locked(*series);
}

std::vector<named_stats> percentile_monitor::all_stats() const {
    const std::lock_guard lock(registry_->snapshots);
    registry_->take_snapshot_locked();
    std::vector<named_stats> found;
    for (tracked_operation* const series : registry_->all()) {
        found.push_back({series->name, registry_->stats_locked(*series)});
    }
    return found;
}

std::vector<std::string> percentile_monitor::names() const {
    std::vector<std::string> found;
    for (const tracked_operation* const series : registry_->all()) {
        found.push_back(series->name);
    }
    return found;
}

std::uint64_t percentile_monitor::lost() const noexcept {
    return registry_->lost.load(std::memory_order_relaxed);
}

}  // namespace levee
