#include "levee/balance/ring_hash.hpp"

#include "balance/highest_score.hpp"
#include "balance/option_error.hpp"
#include "levee/core/hash.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace levee {
namespace {

// The ring's points in order, and where those with given upper bits begin: a look-up is one step in, and
// building is a counting sort.
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
    // In two steps, so that what is written at random stays in a near cache: by the upper 8 bits, then each
    // of these parts. In one step, 1.6 million points took half as long again.
    const unsigned part_bits = (std::min)(8U, bits);
    const auto for_points = [&](auto&& f) {
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const std::uint64_t key = candidates[i].key();
            const std::uint32_t own = points_of(candidates[i]);
            for (std::uint32_t p = 0; p < own; ++p) {
                f(hash_mix(key + (p + std::uint64_t{1}) * 0x9e3779b97f4a7c15), static_cast<std::uint32_t>(i));
            }
        }
    };
    std::array<std::uint32_t, 257> part_ends{};
    for_points([&](std::uint64_t at, std::uint32_t) { part_ends[(at >> (64 - part_bits)) + 1] += 1; });
    std::partial_sum(part_ends.begin(), part_ends.end(), part_ends.begin());
    std::vector<ring::point> by_part(count);
    for_points([&](std::uint64_t at, std::uint32_t owner) {
        by_part[part_ends[at >> (64 - part_bits)]++] = {at, owner};  // from its begin to its end
    });
    made->points.resize(count);
    made->begins.assign((std::size_t{1} << bits) + 1, static_cast<std::uint32_t>(count));
    const std::size_t buckets = std::size_t{1} << (bits - part_bits);  // of a part
    std::vector<std::uint32_t> next(buckets);
    std::uint32_t first = 0;
    for (std::size_t part = 0; part < std::size_t{1} << part_bits; ++part) {
        const std::span<const ring::point> its(by_part.data() + first, part_ends[part] - first);
        std::fill(next.begin(), next.end(), 0);
        for (const ring::point& one : its) {
            next[(one.at >> made->shift) % buckets] += 1;
        }
        std::uint32_t* const begins = made->begins.data() + part * buckets;
        for (std::size_t i = 0; i < buckets; ++i) {
            begins[i] = first;
            first += std::exchange(next[i], first);
        }
        for (const ring::point& one : its) {
            made->points[next[(one.at >> made->shift) % buckets]++] = one;
        }
        // Ties by key: the list's order must not matter.
        for (std::size_t i = 0; i < buckets; ++i) {
            if (next[i] - begins[i] > 1) {
                std::sort(made->points.begin() + begins[i], made->points.begin() + next[i],
                          [&](const ring::point& a, const ring::point& b) {
                              return a.at != b.at ? a.at < b.at
                                                  : candidates[a.owner].key() < candidates[b.owner].key();
                          });
            }
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
