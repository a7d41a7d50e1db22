#include "hit_ratio/miss_ratio_curve.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "hit_ratio/policies.hpp"

namespace levee::lab {
namespace {

void check(const trace& input, const curve_options& options) {
    if (options.policies.empty()) {
        throw std::invalid_argument("curve_options::policies is empty; it must name at least one policy");
    }
    if (options.capacities.empty()) {
        throw std::invalid_argument("curve_options::capacities is empty; it must hold at least one capacity");
    }
    if (options.threads == 0) {
        throw std::invalid_argument("curve_options::threads is 0; it must be at least 1");
    }
    if (options.by_size && !input.has_sizes()) {
        throw std::invalid_argument(
            "curve_options::by_size is true; it must be false for a trace without sizes");
    }
    for (const auto& name : options.policies) {  // before any long replay begins
        for (const std::uint64_t capacity : options.capacities) {
            (void)make_policy(name, {.capacity = capacity, .by_size = options.by_size});
        }
    }
}

}  // namespace

std::uint64_t count_hits(const trace& input, std::string_view name, std::uint64_t capacity, bool by_size) {
    const auto replayed = make_policy(
        name, {.capacity = capacity, .by_size = by_size, .distinct = input.distinct(), .future = input.keys});
    std::uint64_t hits = 0;
    for (std::size_t i = 0; i < input.requests(); ++i) {
        hits += replayed->access(input.keys[i], input.size_of(i)) ? 1 : 0;
    }
    return hits;
}

std::vector<curve_point> miss_ratio_curve(const trace& input, const curve_options& options) {
    check(input, options);
    std::vector<curve_point> points;
    points.reserve(options.capacities.size() * options.policies.size());
    for (const std::uint64_t capacity : options.capacities) {
        for (const auto& name : options.policies) {
            points.push_back({.policy = name, .capacity = capacity, .requests = input.requests()});
        }
    }

    std::atomic<std::size_t> next{0};  // the first point that nobody has taken
    std::mutex failure_mutex;          // guards failure
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            for (;;) {
                const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
                if (i >= points.size()) {
                    return;
                }
                points[i].hits = count_hits(input, points[i].policy, points[i].capacity, options.by_size);
            }
        } catch (...) {
            next.store(points.size(), std::memory_order_relaxed);
            const std::lock_guard lock(failure_mutex);
            if (!failure) {
                failure = std::current_exception();
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 1; i < options.threads && i < points.size(); ++i) {
            threads.emplace_back(work);
        }
        work();  // this thread is one of them
    }  // joined: what they wrote is visible
    if (failure) {
        std::rethrow_exception(failure);
    }
    return points;
}

}  // namespace levee::lab
