#include "hit_ratio/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <levee/core/random.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hit_ratio/policies/id_list.hpp"

namespace levee::lab {
namespace {

template <class Number>
void require(bool holds, std::string_view field, Number value, std::string_view range) {
    if (!holds) {
        throw std::invalid_argument("synthetic_options::" + std::string(field) + " is " +
                                    std::to_string(value) + "; it must be in " + std::string(range));
    }
}

void check(const synthetic_options& o) {
    require(o.requests >= 1 && o.requests < no_id, "requests", o.requests, "[1, 2^32)");
    require(o.popular_keys >= 1 && o.popular_keys <= (1U << 24), "popular_keys", o.popular_keys, "[1, 2^24]");
    require(o.skew >= 0 && o.skew <= 4, "skew", o.skew, "[0, 4]");
    require(o.drift >= 0 && o.drift <= 1, "drift", o.drift, "[0, 1]");
    require(o.scan_share >= 0 && o.scan_share < 1, "scan_share", o.scan_share, "[0, 1)");
    require(o.scan_length >= 1, "scan_length", o.scan_length, "[1, 2^64)");
}

// The probability that a rank or a more popular one is drawn.
std::vector<double> cumulative_zipf(std::size_t ranks, double skew) {
    std::vector<double> sums(ranks);
    double sum = 0;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        sum += std::pow(static_cast<double>(rank + 1), -skew);
        sums[rank] = sum;
    }
    for (double& value : sums) {
        value /= sum;
    }
    return sums;
}

class generator {
public:
    explicit generator(const synthetic_options& options)
        : options_(options),
          random_(options.seed),
          zipf_(cumulative_zipf(options.popular_keys, options.skew)),
          key_at_rank_(options.popular_keys),
          id_of_key_(options.popular_keys, no_id) {
        std::iota(key_at_rank_.begin(), key_at_rank_.end(), 0U);
        // Scans begin between other requests, so often that their share of all requests comes out.
        const double share = options.scan_share;
        scan_chance_ = share / ((1 - share) * static_cast<double>(options.scan_length));
    }

    trace run() {
        trace_.keys.reserve(options_.requests);
        while (trace_.keys.size() < options_.requests) {
            if (scan_chance_ > 0 && uniform_unit(random_) < scan_chance_) {
                scan();
                continue;
            }
            if (options_.drift > 0 && uniform_unit(random_) < options_.drift) {
                std::swap(key_at_rank_[draw_rank()],
                          key_at_rank_[uniform_below(random_, options_.popular_keys)]);
            }
            request_popular(key_at_rank_[draw_rank()]);
        }
        return std::move(trace_);
    }

private:
    std::size_t draw_rank() {
        const auto found = std::upper_bound(zipf_.begin(), zipf_.end(), uniform_unit(random_));
        return std::min(static_cast<std::size_t>(found - zipf_.begin()), zipf_.size() - 1);
    }

    void request_popular(std::uint32_t key) {
        if (id_of_key_[key] == no_id) {
            id_of_key_[key] = new_id("key:" + std::to_string(key));
        }
        request(id_of_key_[key]);
    }

    void scan() {
        for (std::size_t i = 0; i < options_.scan_length && trace_.keys.size() < options_.requests; ++i) {
            request(new_id("scan:" + std::to_string(scanned_++)));
        }
    }

    std::uint32_t new_id(std::string name) {
        trace_.names.push_back(std::move(name));
        if (options_.with_sizes) {  // log-uniform, squared: most values are small, a few are large
            const double u = uniform_unit(random_);
            size_of_id_.push_back(static_cast<std::uint32_t>(100 * std::pow(2.0, 13.3 * u * u)));
        }
        return static_cast<std::uint32_t>(trace_.names.size() - 1);
    }

    void request(std::uint32_t id) {
        trace_.keys.push_back(id);
        if (options_.with_sizes) {
            trace_.sizes.push_back(size_of_id_[id]);
        }
    }

    synthetic_options options_;
    xoshiro256 random_;
    std::vector<double> zipf_;
    std::vector<std::uint32_t> key_at_rank_, id_of_key_, size_of_id_;
    double scan_chance_ = 0;
    std::uint64_t scanned_ = 0;
    trace trace_;
};

}  // namespace

trace make_synthetic_trace(const synthetic_options& options) {
    check(options);
    return generator(options).run();
}

}  // namespace levee::lab
