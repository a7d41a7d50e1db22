#include "levee/balance/load_balancer.hpp"

#include "balance/balancer_core.hpp"
#include "balance/option_error.hpp"

#include <stdexcept>

namespace levee {
namespace {

std::unique_ptr<const strategy> checked(std::unique_ptr<const strategy> how,
                                        const load_balancer_options& options) {
    if (how == nullptr) {
        throw std::invalid_argument("load_balancer: the strategy is null");
    }
    if (how->needs().latency_tau <= duration::zero()) {
        balance_detail::refuse_option("strategy_needs::latency_tau",
                                      balance_detail::option_text(how->needs().latency_tau), "above zero");
    }
    validate(options);
    return how;
}

}  // namespace

void validate(const load_balancer_options& options) {
    using balance_detail::option_text;
    using balance_detail::refuse_option;
    if (!(options.panic_threshold >= 0.0 && options.panic_threshold <= 1.0)) {  // so that NaN is refused
        refuse_option("load_balancer_options::panic_threshold", option_text(options.panic_threshold),
                      "in [0, 1]");
    }
    if (options.slow_start < duration::zero()) {
        refuse_option("load_balancer_options::slow_start", option_text(options.slow_start), "zero or above");
    }
    if (!(options.slow_start_floor > 0.0 && options.slow_start_floor <= 1.0)) {
        refuse_option("load_balancer_options::slow_start_floor", option_text(options.slow_start_floor),
                      "in (0, 1]");
    }
    if (options.recovery_ramp < duration::zero()) {
        refuse_option("load_balancer_options::recovery_ramp", option_text(options.recovery_ramp),
                      "zero or above");
    }
    if (!(options.overprovision >= 1.0 && options.overprovision <= 1000.0)) {
        refuse_option("load_balancer_options::overprovision", option_text(options.overprovision),
                      "in [1, 1000]");
    }
    if (options.outlier) {
        validate(*options.outlier);
    }
    if (options.breaker) {
        validate(*options.breaker);
    }
    if (options.adaptive_limit) {
        validate(*options.adaptive_limit);
    }
}

load_balancer::load_balancer(const endpoint_set& endpoints, std::unique_ptr<const strategy> how,
                             const load_balancer_options& options)
    : core_(detail::balancer_core::make(endpoints, checked(std::move(how), options), options)) {}

load_balancer::~load_balancer() = default;

std::optional<ticket> load_balancer::pick(const pick_context& context) {
    return core_->pick(context, nullptr);
}

std::optional<ticket> load_balancer::pick(const pick_context& context, pick_refusal& why) {
    return core_->pick(context, &why);
}

bool load_balancer::find(const pick_context& context, endpoint_key& found) const {
    return core_->locate(context, found);
}

std::vector<endpoint_status> load_balancer::status() const {
    return core_->status();
}

std::vector<pick_explanation> load_balancer::explain() const {
    return core_->explain();
}

std::size_t load_balancer::draining() const {
    return core_->draining();
}

}  // namespace levee
