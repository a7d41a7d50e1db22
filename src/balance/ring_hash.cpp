#include "levee/balance/ring_hash.hpp"

#include "balance/highest_score.hpp"
#include "balance/option_error.hpp"
#include "levee/core/hash.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace levee {
namespace {

// The ring's points in order, and where those with given upper bits begin: a look-up is one step in, and
// building is one pass of a counting sort.
struct ring final : strategy_plan {
    struct point {
        std::uint64_t at;
        std::uint32_t owner;
    };
    std::vector<point> points;
    std::vector<std::uint32_t> begins;  // by upper bits; one more at the end
    unsigned shift = 63;
    bool is_even = true;

    // The first point at or after `hash`, or past the last.
    [[nodiscard]] std::size_t after(std::uint64_t hash) const noexcept {
        std::size_t index = begins[hash >> shift];
        while (index < points.size() && points[index].at < hash) {
            ++index;
        }
        return index;
    }
};

}  // namespace

ring_hash::ring_hash(const ring_hash_options& options)
    : hashing_strategy(options.bounded_load), options_(options) {
    if (options.points == 0 || options.points > 10'000) {
        balance_detail::refuse_option("ring_hash_options::points", std::to_string(options.points),
                                      "in [1, 10000]");
    }
}

std::shared_ptr<const strategy_plan> ring_hash::prepare(std::span<const candidate> candidates) const {
    double sum = 0.0;
    for (const candidate& one : candidates) {
        sum += one.weight();
    }
    const double unit = options_.points * static_cast<double>(candidates.size()) / sum;
    const auto points_of = [&](const candidate& one) {
        return static_cast<std::uint32_t>((std::max)(1.0, std::round(one.weight() * unit)));
    };
    std::size_t count = 0;
    for (const candidate& one : candidates) {
        count += points_of(one);
    }
    auto made = std::make_shared<ring>();
    const auto bits = static_cast<unsigned>(std::bit_width(count));
    made->shift = 64 - bits;
    made->begins.assign((std::size_t{1} << bits) + 1, 0);
    std::vector<ring::point> unsorted;
    unsorted.reserve(count);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const std::uint64_t key = candidates[i].key();
        const std::uint32_t own = points_of(candidates[i]);
        for (std::uint32_t p = 0; p < own; ++p) {
            const std::uint64_t at = hash_mix(key + (p + std::uint64_t{1}) * 0x9e3779b97f4a7c15);
            unsorted.push_back({at, static_cast<std::uint32_t>(i)});
            made->begins[(at >> made->shift) + 1] += 1;
        }
    }
    for (std::size_t i = 1; i < made->begins.size(); ++i) {
        made->begins[i] += made->begins[i - 1];
    }
    made->points.resize(count);
    std::vector<std::uint32_t> next(made->begins.begin(), made->begins.end() - 1);
    for (const ring::point& one : unsorted) {
        made->points[next[one.at >> made->shift]++] = one;
    }
    // Ties by key: the list's order must not matter.
    for (std::size_t i = 0; i + 1 < made->begins.size(); ++i) {
        if (made->begins[i + 1] - made->begins[i] > 1) {
            std::sort(made->points.begin() + made->begins[i], made->points.begin() + made->begins[i + 1],
                      [&](const ring::point& a, const ring::point& b) {
                          return a.at != b.at ? a.at < b.at
                                              : candidates[a.owner].key() < candidates[b.owner].key();
                      });
        }
    }
    made->is_even = balance_detail::highest_score(candidates).is_even();
    return made;
}

const candidate* ring_hash::pick(pick_view& view) const {
    const auto& points = view.plan<ring>();
    const std::uint64_t hash = hash_of(view);
    std::size_t index = points.after(hash);
    // Clockwise, past those that do not take it; at last all are asked.
    const std::size_t most = (std::min<std::size_t>)(points.points.size(), 256);
    for (std::size_t tries = 0; tries < most; ++tries, ++index) {
        if (index >= points.points.size()) {
            index = 0;
        }
        const candidate& one = view.members()[points.points[index].owner];
        if (takes(view, one)) [[likely]] {
            return &one;
        }
    }
    return balance_detail::by_score(view, hash, points.is_even,
                                    [&](const candidate& one) { return takes(view, one); });
}

}  // namespace levee
