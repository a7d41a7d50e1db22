/// What the balancer's tests share.
#pragma once

#include "levee/balance/load_balancer.hpp"
#include "levee/core/random.hpp"
#include "support/manual_clock_stub.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

namespace levee::test {

struct load_balancer_test : ::testing::Test {
    manual_clock_stub clock;
    load_balancer_options options{.seed = 1, .clock = &clock};
};

/// Endpoints "e0", "e1", ….
inline std::vector<endpoint> endpoints(int count) {
    std::vector<endpoint> made;
    for (int i = 0; i < count; ++i) {
        made.push_back({.id = "e" + std::to_string(i), .host = "10.0.0.1", .port = 80});
    }
    return made;
}

/// Picks, completes at once, and says where it went; "" if nowhere.
inline std::string pick_id(load_balancer& balancer, const pick_context& context = {},
                           const outcome& how = outcome::ok(std::chrono::milliseconds(1))) {
    auto pick = balancer.pick(context);
    if (!pick) {
        return "";
    }
    std::string id = pick->endpoint().id;
    pick->complete(how);
    return id;
}

inline std::map<std::string, int> count_picks(load_balancer& balancer, int times) {
    std::map<std::string, int> counts;
    for (int i = 0; i < times; ++i) {
        counts[pick_id(balancer)] += 1;
    }
    return counts;
}

inline endpoint_status status_of(const load_balancer& balancer, const std::string& id) {
    for (endpoint_status& one : balancer.status()) {
        if (one.id == id) {
            return std::move(one);
        }
    }
    return {};
}

/// Requests that arrive at random, at a mean rate, and take what `serve` says; time is the clock's.
class traffic {
public:
    struct answer {
        duration takes;
        outcome_kind kind = outcome_kind::ok;
    };

    traffic(load_balancer& balancer, manual_clock_stub& clock, std::function<answer(const endpoint&)> serve)
        : balancer_(balancer), clock_(clock), serve_(std::move(serve)) {}

    /// Sends requests for `span`, `mean_gap` apart on average, and returns how many each endpoint got.
    std::map<std::string, int> run(duration span, duration mean_gap) {
        std::map<std::string, int> counts;
        const time_point end = clock_.now() + span;
        for (;;) {
            const double gap = -std::log1p(-uniform_unit(random_)) * static_cast<double>(mean_gap.count());
            const time_point next = clock_.now() + duration(static_cast<duration::rep>(gap) + 1);
            finish_until(next < end ? next : end);
            if (next >= end) {
                return counts;
            }
            if (auto pick = balancer_.pick()) {
                counts[pick->endpoint().id] += 1;
                const answer how = serve_(pick->endpoint());
                running_.push({clock_.now() + how.takes, number_++, how, std::move(pick)});
            } else {
                counts[""] += 1;
            }
        }
    }

    double exponential(double mean) { return -std::log1p(-uniform_unit(random_)) * mean; }

private:
    struct request {
        time_point ends;
        std::uint64_t number;
        answer how;
        mutable std::optional<ticket> pick;

        bool operator<(const request& other) const {
            return ends != other.ends ? ends > other.ends : number > other.number;
        }
    };

    void finish_until(time_point when) {
        while (!running_.empty() && running_.top().ends <= when) {
            const request& first = running_.top();
            clock_.advance(first.ends - clock_.now());
            first.pick->complete({first.how.kind, first.how.takes});
            running_.pop();
        }
        clock_.advance(when - clock_.now());
    }

    load_balancer& balancer_;
    manual_clock_stub& clock_;
    std::function<answer(const endpoint&)> serve_;
    std::priority_queue<request> running_;
    std::uint64_t number_ = 0;
    xoshiro256 random_{42};
};

}  // namespace levee::test
