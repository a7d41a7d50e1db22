/// The interface of strategies: what to implement for one's own, in one class.
#pragma once

#include "levee/balance/detail/endpoint_state.hpp"
#include "levee/balance/endpoint.hpp"
#include "levee/balance/pick_context.hpp"
#include "levee/core/clock.hpp"
#include "levee/core/random.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace levee {

class pick_view;

namespace detail {
struct endpoint_record;
struct balancer_cell;
}  // namespace detail

/// An endpoint as a strategy sees it: what is fixed for a snapshot, and live measurements.
///
/// Thread safety: safe. Lives as long as the `pick` or `prepare` that it was given to.
class candidate {
public:
    [[nodiscard]] const levee::endpoint& endpoint() const noexcept { return *endpoint_; }
    [[nodiscard]] endpoint_key key() const noexcept { return key_; }

    /// Above zero; an unknown weight has become the mean of the known ones.
    [[nodiscard]] double weight() const noexcept { return weight_; }

    /// 1 / weight(), for comparisons that are made often.
    [[nodiscard]] float inverse_weight() const noexcept { return inverse_weight_; }

    /// Neither unhealthy nor ejected nor with an open circuit; in panic all are.
    [[nodiscard]] bool is_eligible() const noexcept { return is_eligible_; }

    /// Requests under way from this balancer. Zero where `strategy_needs::in_flight` was not asked for.
    [[nodiscard]] std::uint32_t in_flight() const noexcept {
        return state_->in_flight.load(std::memory_order_relaxed);
    }

    /// Peak EWMA of latency and share of errors; where `strategy_needs::latency` was asked for.
    [[nodiscard]] const detail::latency_score& score() const noexcept { return state_->score; }

private:
    friend detail::balancer_core;
    friend pick_view;

    const levee::endpoint* endpoint_ = nullptr;
    detail::endpoint_state* state_ = nullptr;
    detail::endpoint_record* record_ = nullptr;
    endpoint_key key_ = 0;
    double weight_ = 1.0;
    float inverse_weight_ = 1.0F;
    bool is_eligible_ = true;
};

/// What a strategy works out once for a list of candidates and reads at each pick: a table, a ring.
/// Immutable once made.
class strategy_plan {
public:
    strategy_plan() = default;
    strategy_plan(const strategy_plan&) = delete;
    strategy_plan& operator=(const strategy_plan&) = delete;
    virtual ~strategy_plan() = default;
};

namespace detail {

/// What a snapshot has ready for all picks of a group.
struct candidate_lists {
    std::span<const candidate> eligible{};
    std::span<const candidate> members{};
    const strategy_plan* plan = nullptr;
    double eligible_weight = 0.0;
};

/// Where a thread stands in its rotations through a group.
struct rotation_place {
    std::uint32_t turn = 0;
    std::uint64_t point = 0;
};

}  // namespace detail

/// What a strategy wants measured: what nobody reads is not counted, and costs nothing.
struct strategy_needs {
    bool in_flight = true;         ///< `candidate::in_flight`: a shared line is written by each pick.
    bool total_in_flight = false;  ///< `pick_view::total_in_flight`: another one.
    bool latency = true;           ///< `candidate::score`.
    duration latency_tau =
        std::chrono::seconds(10);  ///< The time over which a latency is forgotten. Above zero.
};

/// When a strategy's plan is made anew.
enum class plan_scope {
    none,      ///< There is no plan.
    members,   ///< Membership or weights changed. It is made of all, and picks skip the ineligible: for
               ///< hashing, where an endpoint that comes back finds its keys.
    eligible,  ///< Also when health changed: it is made of the eligible ones.
};

/// Chooses one of the candidates.
///
/// To write one's own: derive, implement `name` and `pick`, pass an object to `load_balancer`; imitate
/// `round_robin.cpp`, or `maglev.cpp` where there is a plan.
///
/// Thread safety: `pick` and `prepare` are called from many threads at once, under no lock, and must be
/// safe; they are const, so state of one's own is atomic or comes from the view.
class strategy {
public:
    virtual ~strategy() = default;

    [[nodiscard]] virtual std::string name() const = 0;
    [[nodiscard]] virtual strategy_needs needs() const noexcept { return {}; }
    [[nodiscard]] virtual plan_scope scope() const noexcept { return plan_scope::none; }

    /// Makes the plan. Called by updates, off the path of picks. Errors: what it throws, the update throws.
    [[nodiscard]] virtual std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const;

    /// One of the view's candidates, for which `view.admits` is true; or null if there is none. Of one that
    /// is not admitted, the balancer looks for another by itself.
    /// Must not block or keep what the view gives: memory waits for it (it runs within an `epoch` pin).
    [[nodiscard]] virtual const candidate* pick(pick_view& view) const = 0;

    /// What it would compare for this candidate, for `explain`: lower is better. Zero: it compares nothing.
    [[nodiscard]] virtual double score(const candidate& of, pick_view& view) const;

protected:
    strategy() = default;
    strategy(const strategy&) = default;
    strategy& operator=(const strategy&) = default;
    strategy(strategy&&) = default;
    strategy& operator=(strategy&&) = default;
};

/// One pick, as the strategy sees it. Made by the balancer, used by one thread, gone after the pick.
class pick_view {
public:
    pick_view(const pick_view&) = delete;
    pick_view& operator=(const pick_view&) = delete;

    /// The eligible candidates, in order of the endpoint set. Never empty when `strategy::pick` is called.
    [[nodiscard]] std::size_t size() const noexcept { return lists_->eligible.size(); }
    [[nodiscard]] const candidate& operator[](std::size_t index) const noexcept {
        return lists_->eligible[index];
    }

    /// The weights of the eligible candidates together.
    [[nodiscard]] double total_weight() const noexcept { return lists_->eligible_weight; }

    /// All candidates, the ineligible too: what a plan of scope `members` was made of.
    [[nodiscard]] std::span<const candidate> members() const noexcept { return lists_->members; }

    /// What `prepare` made. Precondition: it did, and of this type.
    template <class Plan>
    [[nodiscard]] const Plan& plan() const noexcept {
        return static_cast<const Plan&>(*lists_->plan);
    }

    /// Whether this one may be taken now: eligible, not excluded, below its limit.
    [[nodiscard]] bool admits(const candidate& one) const noexcept {
        return one.is_eligible_ && (!is_restricted_ || admits_restricted(one));
    }

    /// False if every eligible candidate is admitted, so that `admits` need not be asked.
    [[nodiscard]] bool is_restricted() const noexcept { return is_restricted_; }

    /// Counts a request for `one` unless it then has more than `at_most` in flight: for bounds that hold
    /// with many threads. After true, return `&one` from `pick`.
    [[nodiscard]] bool try_reserve(const candidate& one, std::uint32_t at_most) noexcept;

    /// Requests under way from this balancer to all its endpoints; see `strategy_needs`.
    [[nodiscard]] std::uint32_t total_in_flight() const noexcept;

    [[nodiscard]] const pick_context& context() const noexcept { return *context_; }

    /// The balancer's clock, read once a pick at most.
    [[nodiscard]] time_point now() noexcept {
        if (now_ == unread) {
            read_clock();
        }
        return now_;
    }
    [[nodiscard]] std::uint32_t tick() noexcept { return scale_->tick(now()); }
    [[nodiscard]] const detail::decay_scale& scale() const noexcept { return *scale_; }

    /// 64 random bits from the calling thread's generator; repeatable with a seed and one thread.
    [[nodiscard]] std::uint64_t random() noexcept { return (*random_)(); }

    /// The calling thread's next number of a cycle through [0, count), which began at random.
    [[nodiscard]] std::uint32_t turn(std::uint32_t count) noexcept {
        std::uint32_t mine = place_->turn;
        if (mine >= count) [[unlikely]] {
            mine %= count;
        }
        place_->turn = mine + 1 == count ? 0 : mine + 1;
        return mine;
    }

    /// The calling thread's next point of an even sequence in [0, 2^64): multiples of the golden ratio,
    /// from a random start. Each interval gets its share with an error of a few points at all times, evenly
    /// spaced (three-distance theorem, Sós 1958).
    [[nodiscard]] std::uint64_t even_point() noexcept { return place_->point += 0x9e3779b97f4a7c15; }

private:
    friend detail::balancer_core;
    pick_view() = default;

    static constexpr time_point unread = (time_point::min)();
    void read_clock() noexcept;
    [[nodiscard]] bool admits_restricted(const candidate& one) const noexcept;

    const detail::candidate_lists* lists_ = nullptr;
    const pick_context* context_ = nullptr;
    const detail::decay_scale* scale_ = nullptr;
    splitmix64* random_ = nullptr;
    detail::rotation_place* place_ = nullptr;
    detail::balancer_core* core_ = nullptr;
    const candidate* reserved_ = nullptr;
    std::span<const endpoint_key> refused_{};  // by what only shows when one tries: circuits, limits
    time_point now_ = unread;
    bool is_restricted_ = false;
};

}  // namespace levee
