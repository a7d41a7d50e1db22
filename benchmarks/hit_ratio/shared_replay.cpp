#include "hit_ratio/shared_replay.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <levee/local/local_cache.hpp>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "hit_ratio/golden.hpp"
#include "hit_ratio/policies.hpp"
#include "hit_ratio/report.hpp"
#include "hit_ratio/trace_reader.hpp"

namespace levee::lab {
namespace {

constexpr std::size_t chunk = 64;                    // requests
constexpr std::size_t enough_for_threads = 100'000;  // requests of a trace

/// `access(key)` is called by all threads; whether it was a hit.
template <class Access>
std::uint64_t replay(const trace& input, unsigned threads, Access&& access) {
    if (threads == 0) {
        throw std::invalid_argument("threads is 0; it must be at least 1");
    }
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint64_t> hits{0};
    std::barrier ready(threads);
    const auto work = [&] {
        ready.arrive_and_wait();
        std::uint64_t mine = 0;
        for (std::size_t at; (at = next.fetch_add(chunk, std::memory_order_relaxed)) < input.requests();) {
            const std::size_t end = (std::min)(at + chunk, input.requests());
            for (; at < end; ++at) {
                mine += access(input.keys[at]) ? 1 : 0;
            }
        }
        hits.fetch_add(mine, std::memory_order_relaxed);
    };
    {
        std::vector<std::jthread> others;
        others.reserve(threads - 1);
        for (unsigned i = 1; i < threads; ++i) {
            others.emplace_back(work);
        }
        work();
    }  // joined: their hits are counted
    return hits.load(std::memory_order_relaxed);
}

std::string text_of(double value, bool with_sign = false) {
    char text[32];
    std::snprintf(text, sizeof text, with_sign ? "%+.2f" : "%.2f", value);
    return text;
}

template <class Replay>
double mean_percent(const trace& input, unsigned runs, Replay&& one) {
    double hits = 0;
    for (unsigned run = 0; run < runs; ++run) {
        hits += static_cast<double>(one());
    }
    return 100 * hits / (static_cast<double>(input.requests()) * runs);
}

}  // namespace

std::uint64_t count_shared_hits(const trace& input, std::uint64_t capacity, unsigned threads,
                                std::size_t shards) {
    if (capacity == 0) {
        throw std::invalid_argument("capacity is 0; it must be at least 1");
    }
    local_cache_options<std::uint32_t, std::uint32_t> options;
    options.max_entries = capacity;
    options.shards = shards;
    local_cache<std::uint32_t, std::uint32_t> cache(options);
    return replay(input, threads, [&](std::uint32_t key) {
        if (cache.get(key)) {
            return true;
        }
        cache.put(key, 0);
        return false;
    });
}

std::uint64_t count_shared_lru_hits(const trace& input, std::uint64_t capacity, unsigned threads) {
    const auto lru = make_policy("lru", {.capacity = capacity, .distinct = input.distinct()});
    std::mutex mutex;
    return replay(input, threads, [&](std::uint32_t key) {
        const std::lock_guard lock(mutex);
        return lru->access(key, 1);
    });
}

void print_shared(std::ostream& out, const std::string& folder, unsigned runs) {
    const std::size_t shards = local_cache_options<std::uint32_t, std::uint32_t>{}.shards;
    std::vector<std::vector<std::string>> rows{
        {"trace, entries", "1 shard", std::to_string(shards) + " shards", "shards cost", "2 threads",
         "4 threads", "lru", "lru, 2", "lru, 4", "beyond, 2", "beyond, 4"}};
    double worst_shards = 0, worst_threads = 0;
    for (const golden_trace& each : golden_traces()) {
        const trace input = read_trace(folder + '/' + std::string(each.name) + ".txt.gz");
        for (const std::uint64_t entries : each.entries) {
            const auto ours = [&](unsigned threads, std::size_t in) {
                return mean_percent(input, runs,
                                    [&] { return count_shared_hits(input, entries, threads, in); });
            };
            const auto lru = [&](unsigned threads) {
                return mean_percent(input, runs,
                                    [&] { return count_shared_lru_hits(input, entries, threads); });
            };
            const double whole = ours(1, 1), one = ours(1, shards);
            worst_shards = (std::max)(worst_shards, whole - one);
            auto& row = rows.emplace_back();
            row = {std::string(each.name) + ", " + with_separators(entries), text_of(whole), text_of(one),
                   text_of(whole - one, true)};
            if (input.requests() < enough_for_threads) {
                row.resize(rows.front().size());
                continue;
            }
            const double by_two = ours(2, shards), by_four = ours(4, shards);
            const double lru_one = lru(1), lru_two = lru(2), lru_four = lru(4);
            const double beyond_two = std::abs(by_two - one) - std::abs(lru_two - lru_one);
            const double beyond_four = std::abs(by_four - one) - std::abs(lru_four - lru_one);
            worst_threads = (std::max)({worst_threads, beyond_two, beyond_four});
            for (const double value : {by_two, by_four, lru_one, lru_two, lru_four}) {
                row.push_back(text_of(value));
            }
            row.push_back(text_of(beyond_two, true));
            row.push_back(text_of(beyond_four, true));
        }
    }
    print_table(out, rows);
    out << "shards cost " << text_of(worst_shards) << " points at worst; threads make "
        << text_of(worst_threads) << " more of a difference than with LRU at worst\n";
}

}  // namespace levee::lab
