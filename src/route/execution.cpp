#include "levee/route/detail/execution.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace levee::route::detail {
namespace {

std::uint64_t seed_of(const execute_policy& policy) {
    return policy.seed != 0 ? policy.seed : std::uint64_t{std::random_device{}()} << 32 | 1;
}

}  // namespace

execution::execution(load_balancer& balancer, const execute_policy& policy, time_point now)
    : balancer_(balancer),
      policy_((validate(policy), policy)),
      deadline_(after(now, policy.deadline)),
      backoff_(policy.backoff, seed_of(policy)) {}

execution::step execution::next(time_point now) {
    if (next_ == step::wait && now >= wake_at_) {
        next_ = step::attempt;
    }
    if (next_ == step::attempt) {
        begin_attempt(now);
    }
    return next_;
}

void execution::begin_attempt(time_point now) {
    if (now >= deadline_) {
        give_up(errc::timeout, "the deadline has passed");
        return;
    }
    if (!pick(now)) {
        plan_retry(now);
        return;
    }
    // After the pick, so that leave is not spent where there is no endpoint to use it on.
    if (needs_leave_ && policy_.budget && !policy_.budget->try_spend(now)) {
        current_.reset();
        give_up(errc::unavailable, "the retry budget is spent");
        return;
    }
    needs_leave_ = true;
    ++made_;
}

bool execution::pick(time_point now) {
    pick_context context{.hash = policy_.hash,
                         .exclude = tried_,
                         .client = policy_.client,
                         .zone = policy_.zone,
                         .sticky = policy_.sticky,
                         .attempt = made_};
    pick_refusal why = pick_refusal::none;
    std::optional<ticket> picked = balancer_.pick(context, why);
    if (!picked && why == pick_refusal::excluded) {
        // None is left that was not tried: then once more from the beginning.
        tried_.clear();
        context.exclude = {};
        picked = balancer_.pick(context, why);
    }
    if (!picked) {
        reports_.push_back({.endpoint = {}, .refusal = why, .kind = outcome_kind::cancelled, .error = {}});
        return false;
    }
    tried_.push_back(picked->key());
    const time_point until =
        policy_.attempt_timeout > duration::zero() ? after(now, policy_.attempt_timeout) : deadline_;
    current_.emplace(*std::move(picked), made_, now, std::min(until, deadline_));
    return true;
}

void execution::succeeded(time_point now) noexcept {
    current_->ticket_.complete({current_->reported_.value_or(outcome_kind::ok), now - current_->began_});
}

void execution::failed(const std::exception_ptr& thrown, time_point now) {
    verdict means{outcome_kind::timed_out, policy_.is_idempotent};
    if (thrown) {
        means = policy_.classify ? policy_.classify(thrown) : default_verdict(thrown, policy_.is_idempotent);
    }
    // Neither what was not sent nor what was turned away can have been carried out.
    const bool did_nothing = current_->is_unsent_ || current_->reported_ == outcome_kind::overloaded;
    const bool may_retry = means.may_retry || (did_nothing && means.kind != outcome_kind::cancelled);
    report_failure(means.kind, thrown, now);
    if (may_retry) {
        plan_retry(now);
    } else if (thrown) {
        failure_ = thrown;  // as it is: nothing was tried because of it, and its type may say more
        next_ = step::give_up;
    } else {
        give_up(errc::timeout, "the attempt timed out, and the request is not idempotent");
    }
}

void execution::plan_retry(time_point now) {
    if (now >= deadline_) {
        give_up(errc::timeout, "the deadline has passed");
        return;
    }
    // What the balancer refused counts too: it must not go on for ever.
    if (reports_.size() >= policy_.max_attempts) {
        give_up(errc::unavailable, "every attempt failed");
        return;
    }
    wake_at_ = after(now, backoff_.next());
    next_ = step::wait;
    if (wake_at_ >= deadline_) {
        give_up(errc::timeout, "no time is left for another attempt");
    }
}

void execution::report_failure(outcome_kind kind, const std::exception_ptr& thrown, time_point now) {
    attempt& done = *current_;
    kind = done.reported_.value_or(kind);
    const duration took = now - done.began_;
    reports_.push_back({.endpoint = done.endpoint().id,
                        .refusal = pick_refusal::none,
                        .kind = kind,
                        .took = took,
                        .error = thrown});
    done.ticket_.complete({kind, took});
}

void execution::give_up(errc code, const char* reason) {
    next_ = step::give_up;
    failure_ = std::make_exception_ptr(execute_error(code, reason, reports_));
}

}  // namespace levee::route::detail
