#include "balance/balancer_core.hpp"

#include "levee/core/hash.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

namespace levee::detail {
namespace {

bool is_same_place(const endpoint& a, const endpoint& b) {
    return a.id == b.id && a.host == b.host && a.port == b.port && a.zone == b.zone && a.labels == b.labels;
}

bool is_same(std::span<const candidate> a, std::span<const candidate> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const candidate& x, const candidate& y) {
        return x.key() == y.key() && x.weight() == y.weight();
    });
}

}  // namespace

endpoint_state::endpoint_state() : extras(std::make_unique<endpoint_extras>()) {}
endpoint_state::~endpoint_state() = default;

balancer_core::balancer_core(const endpoint_set& endpoints, std::unique_ptr<const strategy> how,
                             const load_balancer_options& options)
    : endpoints_(endpoints),
      strategy_(std::move(how)),
      options_(options),
      clock_(options.clock != nullptr ? *options.clock : clock::coarse()),
      needs_(strategy_->needs()),
      scale_(needs_.latency_tau),
      detector_(options.outlier ? std::optional<outlier_detector>(*options.outlier) : std::nullopt),
      is_limited_(options.max_in_flight > 0 || options.adaptive_limit),
      counts_in_flight_(needs_.in_flight || is_limited_),
      reads_clock_(needs_.latency || options.monitor != nullptr || options.adaptive_limit),
      is_frugal_(options.monitor == nullptr && !options.adaptive_limit && !options.breaker &&
                 options.retry_budget == nullptr &&
                 !(options.outlier && options.outlier->success_deviations > 0.0)),
      seed_(options.seed) {
    while (seed_ == 0) {
        std::random_device device;
        seed_ = std::uint64_t{device()} << 32U | device();
    }
}

balancer_core::~balancer_core() {
    delete current_.load(std::memory_order_acquire);
}

std::shared_ptr<balancer_core> balancer_core::make(const endpoint_set& endpoints,
                                                   std::unique_ptr<const strategy> how,
                                                   const load_balancer_options& options) {
    const std::shared_ptr<balancer_core> made(new balancer_core(endpoints, std::move(how), options),
                                              [](balancer_core* core) { core->abandon(); });
    endpoint_set listened = endpoints;
    listened.subscribe(
        std::shared_ptr<endpoint_listener>(made));  // before looking, so that nothing is missed
    made->refresh();
    return made;
}

void balancer_core::refresh() {
    if (requests_to_build_.fetch_add(1, std::memory_order_acq_rel) != 0) {
        return;  // whoever builds will see that more is wanted
    }
    std::uint32_t seen = 0;
    std::exception_ptr failed;
    do {
        seen = requests_to_build_.load(std::memory_order_acquire);
        if (is_abandoned_.load(std::memory_order_acquire)) {
            settle();  // nobody builds from now on
            return;
        }
        try {
            failed = nullptr;
            build();
        } catch (...) {
            failed = std::current_exception();  // but who asked meanwhile has left, and relies on this
        }
    } while (!requests_to_build_.compare_exchange_strong(seen, 0, std::memory_order_acq_rel));
    if (failed) {
        std::rethrow_exception(failed);
    }
}

void balancer_core::build() {
    const time_point at = now();
    const auto list = endpoints_.snapshot();
    auto made = std::make_unique<balancer_snapshot>();
    adopt(*list, *made);
    judge(*list, at, *made);
    // Only builders write it, and they come one after another.
    const balancer_snapshot* const before = current_.load(std::memory_order_relaxed);
    group(*made, before);
    retired_.reserve(1);
    current_.store(made.release(), std::memory_order_release);  // pairs with the acquire in pick
    if (before != nullptr) {
        retired_.retire(const_cast<balancer_snapshot*>(before));
    }
    is_first_ = false;
    retired_.collect();
    release_drained();
}

std::vector<bool> balancer_core::subset_of(const endpoint_list& list) const {
    std::vector<bool> chosen(list.endpoints.size(), true);
    if (options_.subset_size == 0 || options_.subset_size >= list.endpoints.size()) {
        return chosen;
    }
    // Rendezvous (Thaler, Ravishankar 1998): a client's subset changes by one when one endpoint goes.
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const listed_endpoint& one = list.endpoints[i];
        chosen[i] = false;
        if (!one.is_draining && one.data->weight != 0.0) {
            order.emplace_back(hash_mix(one.key ^ hash_mix(options_.subset_id + 0x9e3779b97f4a7c15)), i);
        }
    }
    const std::size_t size = (std::min)(options_.subset_size, order.size());
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size), order.end());
    for (std::size_t i = 0; i < size; ++i) {
        chosen[order[i].second] = true;
    }
    return chosen;
}

void balancer_core::adopt(const endpoint_list& list, balancer_snapshot& into) {
    const std::vector<bool> chosen = subset_of(list);
    into.listings.reserve(list.endpoints.size());
    if (list.version != built_version_) {
        built_version_ = ~std::uint64_t{0};  // half done is not done
        std::unordered_map<std::string, std::shared_ptr<endpoint_record>> next;
        next.reserve(list.endpoints.size());
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            if (!chosen[i]) {
                continue;
            }
            const listed_endpoint& one = list.endpoints[i];
            const auto known = records_.find(one.data->id);
            if (known != records_.end() &&
                (known->second->data == one.data || is_same_place(*known->second->data, *one.data))) {
                next.emplace(one.data->id, known->second);
            } else {
                next.emplace(one.data->id,
                             make_record(one, known == records_.end() ? nullptr : known->second));
            }
        }
        std::vector<std::shared_ptr<endpoint_record>> gone;
        for (const auto& [id, record] : records_) {
            const auto still = next.find(id);
            if (still == next.end() || still->second != record) {
                gone.push_back(record);
            }
        }
        drained_.insert(drained_.end(), gone.begin(), gone.end());  // all or, for want of memory, none
        records_ = std::move(next);
        built_version_ = list.version;
    }
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        listing& added = into.listings.emplace_back();
        added.data = list.endpoints[i].data;
        if (chosen[i]) {
            added.record = records_.at(added.data->id);
        }
    }
}

std::shared_ptr<endpoint_record> balancer_core::make_record(const listed_endpoint& one,
                                                            const std::shared_ptr<endpoint_record>& before) {
    auto made = std::make_shared<endpoint_record>();
    made->data = one.data;
    made->key = one.key;
    made->core = this;
    if (options_.monitor != nullptr) {
        made->monitor = options_.monitor->operation(options_.name + ':' + one.data->id);
    }
    if (before != nullptr) {
        made->state = before->state;
        made->carried = totals(*before);
        made->carried += before->carried;
    } else {
        made->state = std::make_shared<endpoint_state>();
        endpoint_extras& extras = *made->state->extras;
        if (options_.breaker) {
            extras.breaker.emplace(*options_.breaker);
        }
        if (options_.max_in_flight > 0) {
            made->state->limit.store(options_.max_in_flight, std::memory_order_relaxed);
        }
        if (options_.adaptive_limit) {
            adaptive_limit_options limit = *options_.adaptive_limit;
            if (options_.max_in_flight > 0) {
                limit.maximum = (std::min)(limit.maximum, options_.max_in_flight);
                limit.minimum = (std::min)(limit.minimum, limit.maximum);
                limit.initial = (std::min)(limit.initial, limit.maximum);
            }
            extras.adaptive.emplace(limit);
            made->state->limit.store(limit.initial, std::memory_order_relaxed);
        }
    }
    if (free_indices_.empty()) {
        made->index = next_index_++;
    } else {
        made->index = free_indices_.back();
        free_indices_.pop_back();
    }
    made->place = place_of(made->index);
    made->base = raw_totals(*made);
    return made;
}

void balancer_core::group(balancer_snapshot& into, const balancer_snapshot* before) {
    const auto tier_of = [&](std::uint32_t priority) -> tier& {
        const auto at = std::lower_bound(into.tiers.begin(), into.tiers.end(), priority,
                                         [](const tier& one, std::uint32_t p) { return one.priority < p; });
        if (at != into.tiers.end() && at->priority == priority) {
            return *at;
        }
        tier& made = *into.tiers.emplace(at);
        made.priority = priority;
        return made;
    };
    for (const listing& one : into.listings) {
        if (one.why_not == ineligibility::drained || one.why_not == ineligibility::other_subset) {
            continue;
        }
        tier& its = tier_of(one.data->priority);
        candidate added;
        added.endpoint_ = one.data.get();
        added.state_ = one.record->state.get();
        added.record_ = one.record.get();
        added.key_ = one.record->key;
        added.weight_ = one.weight;
        added.inverse_weight_ = static_cast<float>(1.0 / one.weight);
        added.is_eligible_ = one.why_not == ineligibility::none;
        its.all.members.push_back(added);
        if (!options_.zone.empty()) {
            const auto zone = std::find_if(its.zones.begin(), its.zones.end(),
                                           [&](const auto& z) { return z.first == one.data->zone; });
            auto& local =
                zone != its.zones.end() ? *zone : its.zones.emplace_back(one.data->zone, candidate_group{});
            local.second.members.push_back(added);
        }
    }
    double given = 0.0;
    for (tier& one : into.tiers) {
        const auto count = std::count_if(one.all.members.begin(), one.all.members.end(),
                                         [](const candidate& each) { return each.is_eligible_; });
        one.all.fitness = static_cast<double>(count) / static_cast<double>(one.all.members.size());
        one.load = (std::min)(1.0 - given, one.all.fitness * options_.overprovision);
        given += one.load;
    }
    const bool is_short = given < 1.0 - 1e-9;
    std::size_t number = 0;
    for (tier& one : into.tiers) {
        one.load = given > 0.0 ? one.load / given : 0.0;
        one.all.is_panic = is_short && one.all.fitness < options_.panic_threshold;
        if (one.all.is_panic) {
            for (candidate& each : one.all.members) {
                each.is_eligible_ = true;
            }
            into.is_recovering = false;
        }
        const tier* same_tier = nullptr;
        if (before != nullptr) {
            const auto found = std::find_if(before->tiers.begin(), before->tiers.end(),
                                            [&](const tier& old) { return old.priority == one.priority; });
            same_tier = found == before->tiers.end() ? nullptr : &*found;
        }
        one.all.number = number++;
        finish_group(one.all, same_tier != nullptr ? &same_tier->all : nullptr);
        for (auto& [zone, local] : one.zones) {
            const candidate_group* same_zone = nullptr;
            if (same_tier != nullptr) {
                for (const auto& old : same_tier->zones) {
                    same_zone = old.first == zone ? &old.second : same_zone;
                }
            }
            const auto count = std::count_if(local.members.begin(), local.members.end(),
                                             [](const candidate& each) { return each.is_eligible_; });
            local.fitness = static_cast<double>(count) / static_cast<double>(local.members.size());
            local.number = number++;
            finish_group(local, same_zone);
        }
    }
    into.is_plain = into.tiers.size() == 1 && into.tiers[0].zones.empty() &&
                    !into.tiers[0].all.eligible.empty() && !into.is_timed && !is_limited_ &&
                    !options_.breaker && options_.explain_picks == 0;
}

void balancer_core::finish_group(candidate_group& made, const candidate_group* before) {
    const auto eligible = [](const candidate& each) { return each.is_eligible_; };
    const auto count = std::count_if(made.members.begin(), made.members.end(), eligible);
    if (static_cast<std::size_t>(count) == made.members.size()) {
        made.eligible = made.members;
    } else {
        made.some_eligible.reserve(static_cast<std::size_t>(count));
        std::copy_if(made.members.begin(), made.members.end(), std::back_inserter(made.some_eligible),
                     eligible);
        made.eligible = made.some_eligible;
    }
    double weight = 0.0;
    for (const candidate& each : made.eligible) {
        weight += each.weight_;
    }
    made.lists = {made.eligible, made.members, nullptr, weight};
    const plan_scope scope = strategy_->scope();
    if (scope == plan_scope::none) {
        return;
    }
    const bool is_of_all = scope == plan_scope::members;
    const std::span<const candidate> of =
        is_of_all ? std::span<const candidate>(made.members) : made.eligible;
    if (of.empty()) {
        return;
    }
    if (before != nullptr && before->plan && is_same(of, is_of_all ? before->members : before->eligible)) {
        made.plan = before->plan;
    } else {
        made.plan = strategy_->prepare(of);
    }
    made.lists.plan = made.plan.get();
}

void balancer_core::release_drained() {
    std::erase_if(drained_, [&](const std::shared_ptr<endpoint_record>& record) {
        // No snapshot has it, so no pick can come; then the counts only meet once.
        if (record.use_count() > 1 || totals(*record).in_flight() != 0) {
            return false;
        }
        try {
            free_indices_.push_back(record->index);
        } catch (...) {
            return false;
        }
        return true;
    });
    draining_.store(drained_.size(), std::memory_order_relaxed);
}

}  // namespace levee::detail
