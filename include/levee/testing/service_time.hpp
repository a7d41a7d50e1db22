/// How long a simulated server, or the network to it, takes for one request.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

namespace levee::testing {

/// A distribution of times. Copyable; the default one is constantly zero.
///
/// Errors: the functions that make one throw std::invalid_argument naming the argument and its range.
/// Thread safety: distinct objects: safe; shared objects: drawing is safe with a generator of one's own.
class service_time {
public:
    service_time() = default;

    /// Always the same. Zero or more.
    [[nodiscard]] static service_time constant(duration value);

    /// Evenly between `low` and `high`.
    [[nodiscard]] static service_time uniform(duration low, duration high);

    /// Memoryless, as queueing theory likes it: its p99 is 4.6 times its mean. Mean above zero.
    [[nodiscard]] static service_time exponential(duration mean);

    /// What most services look like. `sigma` is the standard deviation of the logarithm, in (0, 4]: with 0.5
    /// the p99 is 3.2 times the median, with 1 it is 10 times.
    [[nodiscard]] static service_time log_normal(duration median, double sigma);

    /// `rare` for a share of the requests, `usual` for the others: a cache in front of a disk.
    [[nodiscard]] static service_time bimodal(duration usual, duration rare, double rare_share);

    /// One of `samples`, each as likely as the others: measured times, played again. At least one.
    [[nodiscard]] static service_time measured(std::vector<duration> samples);

    [[nodiscard]] duration mean() const noexcept { return mean_; }

    /// Never negative. Cost: a few ns up to about 40 ns (log-normal).
    [[nodiscard]] duration draw(splitmix64& random) const noexcept;

private:
    enum class kind : std::uint8_t { constant, uniform, exponential, log_normal, bimodal, measured };

    service_time(kind what, duration mean, double a, double b, double share)
        : what_(what), mean_(mean), a_(a), b_(b), share_(share) {}

    kind what_ = kind::constant;
    duration mean_{};
    double a_ = 0.0;      // low, mean, median or usual, in nanoseconds
    double b_ = 0.0;      // high, sigma or rare
    double share_ = 0.0;  // of the rare ones
    std::shared_ptr<const std::vector<duration>> samples_;
};

}  // namespace levee::testing
