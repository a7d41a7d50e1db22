/// The body of a load_balancer, which tickets keep alive.
#pragma once

#include "balance/endpoint_record.hpp"
#include "balance/snapshot.hpp"
#include "levee/balance/endpoint_set.hpp"
#include "levee/balance/load_balancer_options.hpp"
#include "levee/balance/ticket.hpp"
#include "levee/core/epoch.hpp"
#include "levee/core/thread_slots.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace levee::detail {

/// Files: balancer_build.cpp makes snapshots, balancer_judge.cpp says who is eligible, balancer_outliers.cpp
/// who fails more than the others, balancer_pick.cpp picks (balancer_pick_carefully.cpp where there is more
/// to ask than the strategy), balancer_complete.cpp takes outcomes and decides when all this is freed,
/// balancer_explain.cpp tells.
///
/// *Building.* `refresh` asks for a new snapshot. Of threads that ask at once one builds, again and again
/// until nobody has asked meanwhile; the others leave. So what only builders use needs no lock, and the
/// user's strategy prepares under none. After `abandon` somebody builds for ever, so nobody else does.
///
/// *Life.* A `load_balancer` and running updates own the core by shared_ptr; its deleter is `abandon`. From
/// then on, tickets own it: see there.
class balancer_core final : public endpoint_listener {
public:
    static std::shared_ptr<balancer_core> make(const endpoint_set& endpoints,
                                               std::unique_ptr<const strategy> how,
                                               const load_balancer_options& options);

    std::optional<ticket> pick(const pick_context& context, pick_refusal* why);
    /// False: there is none.
    bool locate(const pick_context& context, endpoint_key& found);
    void complete(picked& pick, const outcome& how) noexcept;
    void endpoints_changed() override { refresh(); }

    std::vector<endpoint_status> status();
    std::vector<pick_explanation> explain() const;
    std::size_t draining();

    [[nodiscard]] time_point now() const noexcept { return clock_.now(); }
    [[nodiscard]] std::uint32_t total_in_flight() const noexcept {
        return total_in_flight_.load(std::memory_order_relaxed);
    }
    bool try_reserve(pick_view& view, const candidate& one, std::uint32_t at_most) noexcept;
    [[nodiscard]] bool is_limited() const noexcept { return is_limited_; }

private:
    balancer_core(const endpoint_set& endpoints, std::unique_ptr<const strategy> how,
                  const load_balancer_options& options);
    virtual ~balancer_core();

    // building
    void refresh();
    void build();
    void adopt(const endpoint_list& list, balancer_snapshot& into);
    std::shared_ptr<endpoint_record> make_record(const listed_endpoint& one,
                                                 const std::shared_ptr<endpoint_record>& before);
    void judge(const endpoint_list& list, time_point now, balancer_snapshot& into);
    bool judge_once(const endpoint_list& list, time_point now, balancer_snapshot& into);
    void group(balancer_snapshot& into, const balancer_snapshot* before);
    void finish_group(candidate_group& made, const candidate_group* before);
    std::vector<bool> subset_of(const endpoint_list& list) const;
    void release_drained();
    void refresh_if_due() noexcept;

    // picking
    struct attempt;
    void seed(balancer_cell& mine) noexcept;
    void set_up(pick_view& view, const candidate_group& from, balancer_cell& mine,
                const pick_context& context) noexcept;
    std::optional<ticket> start(pick_view& view, const candidate& chosen, balancer_cell& mine,
                                circuit_breaker::permit&& permit);
    std::optional<ticket> pick_slowly(const pick_context& context, pick_refusal* why);
    std::optional<ticket> pick_with(balancer_cell& mine, const pick_context& context, pick_refusal& why);
    bool locate_slowly(const pick_context& context, endpoint_key& found);
    bool locate_with(balancer_cell& mine, const pick_context& context, endpoint_key& found);
    std::optional<ticket> pick_carefully(const balancer_snapshot& snapshot, balancer_cell& mine,
                                         const pick_context& context, pick_refusal& why);
    bool pick_by_all(attempt& trying);
    bool pick_by_tiers(attempt& trying);
    bool pick_from(attempt& trying, const candidate_group& from);
    bool pick_sticky(attempt& trying);
    bool take(attempt& trying, pick_view& view, const candidate& one);
    bool is_passed_over(attempt& trying, const candidate& one) noexcept;
    void unreserve(pick_view& view) noexcept;
    const candidate* ask_strategy(pick_view& view);
    pick_refusal why_nothing(const attempt& trying) const noexcept;
    pick_explanation describe(const balancer_snapshot& snapshot, balancer_cell& mine,
                              const pick_context& context);
    void remember(pick_explanation&& explanation);

    // completing
    void feed(endpoint_record& record, picked& pick, const outcome& how);
    void count_failure(endpoint_record& record, time_point now);
    [[nodiscard]] bool is_outlier_locked(const endpoint_record& record, double share, time_point now);
    void notice_outage_locked(time_point now) noexcept;
    void end_row(endpoint_state& state);
    void end_outage();
    void lift_locked(const balancer_snapshot& in, time_point now) noexcept;
    void eject_the_worst(time_point now);
    void uncount(endpoint_record& record) noexcept;
    void finish(endpoint_record& record, outcome_kind kind) noexcept;
    void abandon() noexcept;
    void settle() noexcept;

    [[nodiscard]] ledger_totals raw_totals(const endpoint_record& record) const noexcept;
    [[nodiscard]] ledger_totals totals(const endpoint_record& record) const noexcept {
        return raw_totals(record) -= record.base;
    }
    [[nodiscard]] outlier_detector::totals judged(const endpoint_record& record) const noexcept;

    const endpoint_set endpoints_;
    const std::unique_ptr<const strategy> strategy_;
    const load_balancer_options options_;
    const levee::clock& clock_;
    const strategy_needs needs_;
    const decay_scale scale_;
    const std::optional<outlier_detector> detector_;
    const bool is_limited_;        // there are limits of requests in flight
    const bool counts_in_flight_;  // for the strategy or a limit
    const bool reads_clock_;       // at each pick, since completions need the time between
    const bool is_frugal_;         // successes feed nothing but the score

    alignas(line_size) std::atomic<const balancer_snapshot*> current_{nullptr};  // release; pairs in pick
    std::atomic<bool> is_abandoned_{false};
    std::uint64_t seed_ = 0;

    alignas(line_size) std::atomic<std::uint32_t> total_in_flight_{0};
    alignas(line_size) std::atomic<std::uint32_t> requests_to_build_{0};
    std::atomic<std::uint64_t> cells_seeded_{0};
    std::atomic<duration::rep> next_comparison_{0};
    std::atomic<std::uint64_t> finishing_without_slot_{0};
    std::atomic<std::int64_t> left_{std::int64_t{1} << 48U};  // see `abandon`

    thread_cells<balancer_cell> cells_;

    // Of whoever builds.
    std::unordered_map<std::string, std::shared_ptr<endpoint_record>> records_;  // by id
    std::vector<std::shared_ptr<endpoint_record>> drained_;  // removed or replaced, maybe with tickets out
    std::vector<std::uint32_t> free_indices_;
    std::uint32_t next_index_ = 0;
    retire_list retired_;
    std::uint64_t built_version_ = ~std::uint64_t{0};
    bool is_first_ = true;
    bool is_outage_ = false;
    std::optional<time_point> recovery_began_{};

    std::mutex outlier_mutex_;  // guards the histories and the counts below; no other is taken under it
    std::size_t members_ = 0, ejected_ = 0, eligible_ = 0;
    std::size_t compared_from_ = 0;                  // in large sets only some are compared with
    time_point alike_until_ = (time_point::min)();   // shares were compared, and are not again until then
    time_point outage_began_ = (time_point::max)();  // what was ejected since then is lifted by a success
    std::atomic<bool> awaits_success_{false};        // there is such an ejection; written under the mutex

    mutable std::mutex explain_mutex_;  // guards explained_
    std::deque<pick_explanation> explained_;

    std::atomic<std::size_t> draining_{0};
};

}  // namespace levee::detail
