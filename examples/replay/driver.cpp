#include "replay/driver.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "levee/cache/read_through.hpp"
#include "levee/core/thread_slots.hpp"
#include "replay/heap.hpp"
#include "replay/live_table.hpp"
#include "replay/text.hpp"

namespace replay {
namespace {

constexpr std::uint64_t requests_at_once = 256;
constexpr auto glance = std::chrono::milliseconds(50);  // between two looks at progress and interruptions

enum class answer { hit, miss, nothing };

/// The database, with loads counted for each thread: a thread sees whether its request needed one.
class counted_source final : public levee::blocking_source<std::string, std::string> {
public:
    explicit counted_source(std::shared_ptr<table> from) : from_(std::move(from)) {}

    [[nodiscard]] std::vector<levee::loaded<std::string>> load(
        std::vector<levee::load_request<std::string, std::string>> requests) override {
        ++loads_.local();
        return from_->load(std::move(requests));
    }

    [[nodiscard]] std::uint64_t loads_of_this_thread() { return loads_.local(); }

private:
    const std::shared_ptr<table> from_;
    levee::thread_cells<std::uint64_t> loads_{};  // each is read by its own thread only
};

/// The threads of one replay, and what they share.
class workers {
public:
    /// Calls `work(begin, end)` for runs of requests below `total`, on `threads` threads.
    template <class Work>
    workers(unsigned threads, std::uint64_t total, const Work& work) : total_(total), running_(threads) {
        for (unsigned i = 0; i < threads; ++i) {
            threads_.emplace_back([this, &work] { run(work); });
        }
    }
    ~workers() { stop(); }  // the threads' own destructors join
    workers(const workers&) = delete;
    workers& operator=(const workers&) = delete;

    /// Waits until all have ended, but no longer than `time`; true: they have.
    [[nodiscard]] bool wait_for(levee::duration time) {
        std::unique_lock lock(mutex_);
        return ended_.wait_for(lock, time, [this] { return running_ == 0; });
    }
    void stop() noexcept { stopping_.store(true, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t done() const noexcept { return done_.load(std::memory_order_relaxed); }

    /// Once all have ended: throws what the first that failed threw.
    void rethrow() const {
        if (error_) {
            std::rethrow_exception(error_);
        }
    }

private:
    template <class Work>
    void run(const Work& work) noexcept {
        std::exception_ptr error;
        try {
            while (!stopping_.load(std::memory_order_relaxed)) {
                const std::uint64_t begin = next_.fetch_add(requests_at_once, std::memory_order_relaxed);
                if (begin >= total_) {
                    break;
                }
                const std::uint64_t end = std::min(begin + requests_at_once, total_);
                work(begin, end);
                done_.fetch_add(end - begin, std::memory_order_relaxed);
            }
        } catch (...) {
            error = std::current_exception();
            stop();
        }
        const std::lock_guard lock(mutex_);
        if (error && !error_) {
            error_ = std::move(error);
        }
        --running_;
        ended_.notify_all();
    }

    const std::uint64_t total_;
    std::atomic<std::uint64_t> next_{0}, done_{0};  // relaxed: the end of the threads orders the rest
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;  // guards running_ and error_
    std::condition_variable ended_;
    unsigned running_;
    std::exception_ptr error_{};
    std::vector<std::jthread> threads_{};  // last: joined before what they use goes
};

levee::cache_options<std::string, std::string> cache_of(std::uint64_t capacity, bool by_size) {
    levee::cache_options<std::string, std::string> options;
    options.name = "replay";
    if (by_size) {
        options.local.max_weight = capacity;
        options.local.weigher = [](const std::string&, const std::string& value) { return size_in(value); };
    } else {
        options.local.max_entries = capacity;
    }
    options.defaults.ttl = {};  // for ever: only the size decides what is held
    options.defaults.ttl_jitter = 0;
    return options;
}

/// An operation's latencies since this was made.
class operation_of_a_step {
public:
    operation_of_a_step(levee::percentile_monitor& monitor, const std::string& name)
        : counts(monitor.operation(name)),
          monitor_(monitor),
          before_(monitor.histograms(counts.name()).succeeded) {}

    [[nodiscard]] levee::histogram histogram() const {
        levee::histogram now = monitor_.histograms(counts.name()).succeeded;
        if (before_.count() > 0) {  // sizes that read alike, or so many that the monitor puts them together
            now -= before_;
        }
        return now;
    }
    [[nodiscard]] levee::call_stats recent() const { return monitor_.stats(counts.name()).last_10s; }

    levee::percentile_monitor::handle counts;

private:
    const levee::percentile_monitor& monitor_;
    const levee::histogram before_;
};

}  // namespace

driver::driver(const levee::lab::trace& trace, std::shared_ptr<table> database, unsigned threads,
               levee::percentile_monitor& monitor, metrics_file& metrics, progress& shown,
               interrupts& signals)
    : trace_(trace),
      database_(std::move(database)),
      threads_(threads),
      monitor_(monitor),
      metrics_(metrics),
      shown_(shown),
      signals_(signals) {}

run_result driver::without_cache(std::uint64_t requests) {
    run_result result;
    result.planned = std::min<std::uint64_t>(requests, trace_.requests());
    send("no cache", result, [this](const std::string& key) {
        std::vector<levee::load_request<std::string, std::string>> wanted{{key, nullptr, 0}};
        const auto rows = database_->load(std::move(wanted));
        if (rows.front().error) {
            std::rethrow_exception(rows.front().error);
        }
        return rows.front().value ? answer::miss : answer::nothing;
    });
    return result;
}

run_result driver::with_cache(std::uint64_t capacity, bool by_size) {
    run_result result;
    result.capacity = capacity;
    result.planned = trace_.requests();
    const auto counted = std::make_shared<counted_source>(database_);
    using cache_type = levee::read_through<std::string, std::string>;
    auto cache = std::make_unique<cache_type>(counted, cache_of(capacity, by_size));
    const std::string label = by_size ? as_capacity(capacity) : as_entries(capacity);
    send(label, result, [&](const std::string& key) {
        const std::uint64_t loads = counted->loads_of_this_thread();
        const auto value = cache->get(key);
        return !value                                     ? answer::nothing
               : counted->loads_of_this_thread() == loads ? answer::hit
                                                          : answer::miss;
    });
    result.cache = cache->stats();
    result.entries = cache->estimated_size();
    // What its end frees: the monitor's memory has grown meanwhile as well.
    const auto with = heap_in_use();
    cache.reset();
    const auto without = heap_in_use();
    if (with && without) {
        result.heap = *with - std::min(*with, *without);
    }
    return result;
}

/// Asks for the keys of the first `result.planned` requests, and says in `result` how it went.
template <class Ask>
void driver::send(const std::string& label, run_result& result, const Ask& ask) {
    const levee::clock& clock = levee::clock::precise();
    const operation_of_a_step hits(monitor_, label + ": hit");
    const operation_of_a_step misses(monitor_, label + ": miss");
    const auto work = [&](std::uint64_t begin, std::uint64_t end) {
        auto hit = hits.counts;
        auto miss = misses.counts;
        for (std::uint64_t i = begin; i < end; ++i) {
            const std::string& key = trace_.names[trace_.keys[i]];
            const levee::time_point asked = clock.now();
            const answer got = ask(key);
            const levee::duration took = clock.now() - asked;
            if (got == answer::nothing) {
                throw std::runtime_error("the database has no row for the key '" + key + "'");
            }
            (got == answer::hit ? hit : miss).record(took);
        }
    };

    shown_.begin(label, result.planned);
    const levee::time_point begun = clock.now();
    {
        workers all(threads_, result.planned, work);
        while (!all.wait_for(glance)) {
            metrics_.update();
            shown_.update(all.done(), [&] {
                return live_table({{"hit", hits.recent()}, {"miss", misses.recent()}}, clock.now() - begun);
            });
            if (signals_.caught()) {
                all.stop();
            }
        }
        result.elapsed = clock.now() - begun;
        result.requests = all.done();
        all.rethrow();
    }
    shown_.end(result.requests);

    const levee::histogram of_hits = hits.histogram();
    const levee::histogram of_misses = misses.histogram();
    result.all = levee::summarise(of_hits + of_misses);
    result.hits = levee::summarise(of_hits);
    result.misses = levee::summarise(of_misses);
}

}  // namespace replay
