#include "balance/reference_pickers.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "levee/core/random.hpp"

namespace levee::lab {
namespace {

using namespace testing;

/// Compares two drawn servers, or all, by a cost that Self tells.
template <class Self>
class by_cost : public picker {
public:
    by_cost(std::uint64_t seed, bool compares_all) : random_(seed), compares_all_(compares_all) {}

    void set_servers(std::span<const std::size_t> known) override {
        known_.assign(known.begin(), known.end());
        const std::size_t most = known_.empty() ? 0 : *std::max_element(known_.begin(), known_.end()) + 1;
        in_flight_.resize(std::max(in_flight_.size(), most));
        static_cast<Self*>(this)->resize(in_flight_.size());
    }

    std::size_t pick(const simulated_request& request) override {
        auto& self = static_cast<Self&>(*this);
        const std::size_t count = known_.size();
        if (count == 0) {
            return none;
        }
        const auto first = static_cast<std::size_t>(uniform_below(random_, count));
        std::size_t best = known_[first];
        if (compares_all_) {
            double least = self.cost(best, request.now);
            for (std::size_t i = 1; i < count; ++i) {
                const std::size_t other = known_[(first + i) % count];
                if (const double cost = self.cost(other, request.now); cost < least) {
                    least = cost;
                    best = other;
                }
            }
        } else if (count > 1) {
            auto second = static_cast<std::size_t>(uniform_below(random_, count - 1));
            second += second >= first ? 1 : 0;
            best =
                self.cost(known_[second], request.now) < self.cost(best, request.now) ? known_[second] : best;
        }
        ++in_flight_[best];
        return best;
    }

    void complete(const simulated_completion& done) override {
        --in_flight_[done.server];
        static_cast<Self*>(this)->learn(done);
    }

protected:
    [[nodiscard]] double in_flight(std::size_t server) const {
        return static_cast<double>(in_flight_[server]);
    }

private:
    splitmix64 random_;
    const bool compares_all_;
    std::vector<std::size_t> known_;
    std::vector<std::uint32_t> in_flight_;
};

class by_requests final : public by_cost<by_requests> {
public:
    using by_cost::by_cost;
    void resize(std::size_t) {}
    [[nodiscard]] double cost(std::size_t server, time_point) const { return in_flight(server); }
    void learn(const simulated_completion&) {}
};

class naive_response_time final : public by_cost<naive_response_time> {
public:
    using by_cost::by_cost;
    void resize(std::size_t count) { average_.resize(count); }
    [[nodiscard]] double cost(std::size_t server, time_point) const { return average_[server]; }
    void learn(const simulated_completion& done) {
        double& average = average_[done.server];
        average += 0.1 * (static_cast<double>(done.latency.count()) - average);
    }

private:
    std::vector<double> average_;
};

class peak_ewma final : public by_cost<peak_ewma> {  // after Finagle's PeakEwma (Ruggiero 2015)
public:
    using by_cost::by_cost;
    void resize(std::size_t count) { measured_.resize(count); }

    [[nodiscard]] double cost(std::size_t server, time_point now) const {
        const measured& m = measured_[server];
        const double decayed = in_flight(server) == 0.0 ? m.latency * kept(now - m.at) : m.latency;
        return decayed * (in_flight(server) + 1.0);
    }

    void learn(const simulated_completion& done) {
        measured& m = measured_[done.server];
        const bool is_ok = done.outcome == request_outcome::ok;
        const double latency = std::max(static_cast<double>(done.latency.count()), is_ok ? 0.0 : 1e9);
        const double weight = kept(done.now - m.at);
        m.latency = latency > m.latency ? latency : m.latency * weight + latency * (1.0 - weight);
        m.at = done.now;
    }

private:
    struct measured {
        double latency = 0.0;
        time_point at{};
    };

    static double kept(duration since) { return std::exp(-static_cast<double>(since.count()) / 10e9); }

    std::vector<measured> measured_;
};

}  // namespace

std::vector<std::string_view> reference_picker_names() {
    return {"ref two choices", "ref all by requests", "ref two choices peak ewma", "ref all peak ewma",
            "ref naive response time"};
}

std::unique_ptr<picker> make_reference_picker(std::string_view name, std::uint64_t seed) {
    if (name == "ref two choices") {
        return std::make_unique<by_requests>(seed, false);
    }
    if (name == "ref all by requests") {
        return std::make_unique<by_requests>(seed, true);
    }
    if (name == "ref naive response time") {
        return std::make_unique<naive_response_time>(seed, true);
    }
    if (name == "ref two choices peak ewma") {
        return std::make_unique<peak_ewma>(seed, false);
    }
    if (name == "ref all peak ewma") {
        return std::make_unique<peak_ewma>(seed, true);
    }
    return nullptr;
}

}  // namespace levee::lab
