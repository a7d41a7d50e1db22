#include "levee/balance/least_response_time.hpp"

#include "balance/best_of.hpp"
#include "balance/option_error.hpp"

namespace levee {
namespace {

using balance_detail::weighted_table;

// What an endpoint's latency is multiplied with. A share of errors e raises it by (1 - e)^-8: hardly for
// what happens to everybody (1 %: 8 %), and 31 times at most, from every third request on. That keeps off
// what only fails; more would crush the one endpoint that works while all the others do not, since it would
// be sent whatever it can queue.
inline float burden(const candidate& one, std::uint32_t in_flight, std::uint32_t now,
                    const detail::decay_scale& scale) noexcept {
    float result = static_cast<float>(in_flight + 1) * one.inverse_weight();
    const float errors = one.score().errors(now, scale);
    if (errors != 0.0F) [[unlikely]] {
        float good = (std::max)(1.0F - errors, 0.65F);
        good *= good;
        good *= good;
        good *= good;
        result /= good;
    }
    return result;
}

// The best seen so far. Unknown latencies are settled at the end: by the mean of the known ones.
struct comparison {
    const candidate* best_known = nullptr;
    const candidate* best_unknown = nullptr;
    float best_cost = 0.0F;
    float best_unknown_burden = 0.0F;
    float known_sum = 0.0F;
    std::uint32_t known = 0;

    void look_at(const candidate& one, std::uint32_t now, const detail::decay_scale& scale) noexcept {
        const std::uint32_t in_flight = one.in_flight();
        const float factor = burden(one, in_flight, now, scale);
        const float latency = one.score().latency(in_flight, now, scale);
        if (latency < 0.0F) {
            if (best_unknown == nullptr || factor < best_unknown_burden) {
                best_unknown = &one;
                best_unknown_burden = factor;
            }
            return;
        }
        const float cost = (std::max)(latency, 1.0F) * factor;
        known_sum += latency;
        known += 1;
        if (best_known == nullptr || cost < best_cost) {
            best_known = &one;
            best_cost = cost;
        }
    }

    [[nodiscard]] const candidate* best() const noexcept {
        if (best_unknown == nullptr || best_known == nullptr) {
            return best_known == nullptr ? best_unknown : best_known;
        }
        const float mean = (std::max)(known_sum / static_cast<float>(known), 1.0F);
        return best_unknown_burden * mean <= best_cost ? best_unknown : best_known;
    }
};

}  // namespace

least_response_time::least_response_time(const least_response_time_options& options) : options_(options) {
    using balance_detail::option_text;
    using balance_detail::refuse_option;
    if (options.choices < 2 || options.choices > 16) {
        refuse_option("least_response_time_options::choices", std::to_string(options.choices), "in [2, 16]");
    }
    if (options.tau < std::chrono::milliseconds(1) || options.tau > std::chrono::hours(24)) {
        refuse_option("least_response_time_options::tau", option_text(options.tau), "in [1 ms, 1 day]");
    }
}

std::shared_ptr<const strategy_plan> least_response_time::prepare(
    std::span<const candidate> candidates) const {
    return std::make_shared<weighted_table>(candidates);
}

const candidate* least_response_time::pick(pick_view& view) const {
    const std::uint32_t now = view.tick();
    if (view.size() > options_.compare_all_up_to &&
        balance_detail::is_simple_pair(view, view.plan<weighted_table>(), options_.choices)) [[likely]] {
        // The same as below without branches that nothing can predict.
        const auto [a, b] = balance_detail::draw_pair(view);
        const std::uint32_t a_in_flight = a->in_flight();
        const std::uint32_t b_in_flight = b->in_flight();
        const float a_latency = a->score().latency(a_in_flight, now, view.scale());
        const float b_latency = b->score().latency(b_in_flight, now, view.scale());
        const float a_burden = burden(*a, a_in_flight, now, view.scale());
        const float b_burden = burden(*b, b_in_flight, now, view.scale());
        // An unknown latency counts like the other's.
        const bool is_known = a_latency >= 0.0F && b_latency >= 0.0F;
        const float a_cost = a_burden * (is_known ? (std::max)(a_latency, 1.0F) : 1.0F);
        const float b_cost = b_burden * (is_known ? (std::max)(b_latency, 1.0F) : 1.0F);
        return balance_detail::choose(a, b, b_cost < a_cost);
    }
    return pick_among(view, now);
}

const candidate* least_response_time::pick_among(pick_view& view, std::uint32_t now) const {
    comparison seen;
    const auto look = [&](const candidate& one) { seen.look_at(one, now, view.scale()); };
    if (view.size() <= options_.compare_all_up_to) {
        balance_detail::for_all(view, look);
    } else {
        balance_detail::for_some(view, view.plan<weighted_table>(), options_.choices, look);
    }
    return seen.best();
}

double least_response_time::score(const candidate& of, pick_view& view) const {
    const std::uint32_t in_flight = of.in_flight();
    const float latency = of.score().latency(in_flight, view.tick(), view.scale());
    return latency < 0.0F ? 0.0
                          : static_cast<double>((std::max)(latency, 1.0F)) *
                                static_cast<double>(burden(of, in_flight, view.tick(), view.scale()));
}

}  // namespace levee
