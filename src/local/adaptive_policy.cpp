#include "local/adaptive_policy.hpp"

#include <algorithm>
#include <utility>

#include "levee/core/random.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t remembered_an_entry = 2;
constexpr std::uint64_t rounds = 4;  // of asking the sample, while the cache is turned over once

std::uint64_t derived(std::uint64_t seed, std::uint64_t which) noexcept {
    return splitmix64(seed + which)();
}

}  // namespace

struct adaptive_policy::sweeping {
    policy_host& host;
    adaptive_policy& self;

    [[nodiscard]] bool take_reference(entry_id id) const noexcept {
        if (!host.take_reference(id)) {
            return false;
        }
        if (self.clock_.is_marked(id, is_sampled)) {
            if (!self.clock_.is_marked(id, is_told)) {
                self.tell(host.hash_of(id), self.clock_.amount_of(id));
            }
            self.clock_.mark(id, is_told, false);
        }
        return true;
    }
};

adaptive_policy::adaptive_policy(std::uint64_t seed, std::shared_ptr<shared_advisor> advisor,
                                 const entry_weights* weights)
    : clock_(derived(seed, 1), weights),
      advisor_(advisor ? std::move(advisor) : std::make_shared<shared_advisor>(derived(seed, 2), 1)) {
    advisor_->join();
    clock_.divide(division_advisor::divisions[advice_.chosen]);
    follow();
}

adaptive_policy::~adaptive_policy() {
    advisor_->leave(told_);
}

void adaptive_policy::reserve(entry_id limit) {
    clock_.reserve(limit, weighted_);
    limit_ = std::max<std::size_t>(limit_, limit);
    size_up();
}

void adaptive_policy::expect(std::size_t entries, std::size_t weight) {
    weighted_ = weighted_ || weight != 0;
    expected_ = entries;
    clock_.reserve(limit_, weighted_);
    size_up();
}

// Sizes what depends on how many entries there will be: as expected, or else as there are ids, with some
// foresight so that it is not done at each of them.
void adaptive_policy::size_up() {
    const std::size_t now = expected_ != 0 ? std::min(expected_, limit_) : limit_;
    if (now > remembered_ || now < remembered_ / 4) {
        const std::size_t ahead = std::max(now, remembered_ + remembered_ / 2);
        const std::size_t roomy = expected_ != 0 ? std::min(expected_, ahead) : ahead;
        clock_.remember(remembered_an_entry * roomy);
        remembered_ = roomy;
    }
    advisor_->expect(expected_ != 0 ? expected_ : remembered_, expected_ != 0, weighted_);
    follow();
    const std::size_t share = remembered_ >> advice_.sample_bits;
    sampled_.reserve(share + share / 4 + 64);
}

void adaptive_policy::follow() noexcept {
    const shared_advisor::advice now = advisor_->current();
    if (now == advice_) {
        return;
    }
    if (now.generation != advice_.generation) {
        begin_stock();
    }
    if (now.chosen != advice_.chosen) {
        clock_.divide(division_advisor::divisions[now.chosen]);
    }
    advice_ = now;
}

void adaptive_policy::add_to_sample(entry_id id, std::uint32_t came) noexcept {
    if (sampled_.size() < sampled_.capacity()) {
        clock_.mark(id, is_sampled, true);
        sampled_.push_back({id, came});
        sampled_weight_ += clock_.amount_of(id);
    }
}

// The sample is another. Its entries are found at the evictions that follow, some at each; new ones are added
// as they come.
void adaptive_policy::begin_stock() noexcept {
    for (const sampled_entry& one : sampled_) {
        clock_.mark(one.id, is_sampled, false);
        clock_.mark(one.id, is_told, false);
    }
    sampled_.clear();
    sampled_weight_ = 0;
    next_stocked_ = 0;
    stock_is_old_ = clock_.size() != 0;
}

void adaptive_policy::take_stock(const policy_host& host) noexcept {
    constexpr std::size_t at_a_time = 64;
    const std::size_t end = std::min(next_stocked_ + at_a_time, limit_);
    for (; next_stocked_ < end; ++next_stocked_) {
        const auto id = static_cast<entry_id>(next_stocked_);
        if (clock_.holds(id) && !clock_.is_marked(id, is_sampled) && samples(host.hash_of(id))) {
            add_to_sample(id, unknown_age);
        }
    }
    stock_is_old_ = next_stocked_ < limit_;
}

void adaptive_policy::tell(std::uint32_t hash, std::uint64_t weight) noexcept {
    const shared_advisor::share now{stock_is_old_ ? 0 : advice_.generation, sampled_.size(), sampled_weight_};
    advisor_->tell(hash, weight, told_, now, is_full_);
    follow();
}

// Called at each miss; asks one entry every so many misses, or in small samples several at once.
void adaptive_policy::ask_some(const policy_host& host) noexcept {
    for (due_ += rounds; due_ >= sample(); due_ -= sample()) {
        if (sampled_.empty()) {
            continue;
        }
        next_asked_ = next_asked_ + 1 < sampled_.size() ? next_asked_ + 1 : 0;
        const entry_id id = sampled_[next_asked_].id;
        if (!clock_.is_marked(id, is_told) && host.is_referenced(id)) {
            clock_.mark(id, is_told, true);
            tell(host.hash_of(id), clock_.amount_of(id));
        }
    }
}

void adaptive_policy::insert(entry_id id, std::uint32_t hash, std::size_t weight) noexcept {
    follow();
    ++stored_;
    clock_.insert(id, hash, weight);
    if (!made_room_) {
        is_full_ = false;
        clock_.overflow();
    }
    made_room_ = false;
    if (samples(hash)) {
        add_to_sample(id, stored_);
        tell(hash, clock_.amount_of(id));
    }
}

void adaptive_policy::leave_sample(entry_id id, removal_cause why) noexcept {
    if (clock_.is_marked(id, is_sampled)) {
        const auto at = std::find_if(sampled_.begin(), sampled_.end(),
                                     [id](const sampled_entry& one) { return one.id == id; });
        if (why == removal_cause::size && at->came != unknown_age) {
            advisor_->tell_age(stored_ - at->came);
        }
        *at = sampled_.back();
        sampled_.pop_back();
        sampled_weight_ -= clock_.amount_of(id);
    }
}

void adaptive_policy::erase(entry_id id, removal_cause why) noexcept {
    leave_sample(id, why);
    clock_.forget(id);
}

// Whatever made it go: a key that is invalidated and loaded again is as popular as before.
void adaptive_policy::erase(entry_id id, std::uint32_t hash, removal_cause why) noexcept {
    leave_sample(id, why);
    clock_.erase(id, hash);
}

void adaptive_policy::reweigh(entry_id id, std::size_t weight) noexcept {
    if (weighted_ && clock_.is_marked(id, is_sampled)) {
        sampled_weight_ += weight - clock_.amount_of(id);
    }
    clock_.reweigh(id, weight);
}

entry_id adaptive_policy::victim(policy_host& host, const newcomer* comes, entry_id keep) noexcept {
    is_full_ = true;
    follow();
    if (stock_is_old_) {
        take_stock(host);
    }
    if (comes != nullptr) {
        clock_.prefetch(comes->hash);
    }
    sweeping asked{host, *this};
    if (comes != nullptr && !made_room_ && clock_.refuses(asked, comes->hash, comes->weight, keep)) {
        if (samples(comes->hash)) {
            tell(comes->hash, comes->weight);
        }
        ask_some(host);
        return the_newcomer;
    }
    const std::uint64_t amount = comes == nullptr ? 0 : weighted_ ? comes->weight : 1;
    const entry_id gone = clock_.victim(asked, amount, keep);
    if (comes != nullptr && !made_room_) {
        made_room_ = true;
        ask_some(host);
    }
    if (!sampled_.empty() && due_ + rounds >= sample()) {
        host.prefetch(sampled_[next_asked_ + 1 < sampled_.size() ? next_asked_ + 1 : 0].id);
    }
    host.prefetch(clock_.window().oldest());
    host.prefetch(clock_.main_part().oldest());
    return gone;
}

// First the unused of the window, then those of the main part, then the used ones: each from the oldest.
std::size_t adaptive_policy::order(const policy_host& host, bool hottest_first, entry_id* ids,
                                   std::size_t count) const noexcept {
    std::size_t found = 0;
    for (unsigned step = 0; step < 4; ++step) {
        const unsigned which = hottest_first ? 3 - step : step;
        const auto& queue = which % 2 == 0 ? clock_.window() : clock_.main_part();
        entry_id id = hottest_first ? queue.newest() : queue.oldest();
        for (; id != no_entry; id = hottest_first ? clock_.older_than(id) : clock_.newer_than(id)) {
            if (found == count) {
                return found;
            }
            if (host.is_referenced(id) == (which >= 2)) {
                ids[found++] = id;
            }
        }
    }
    return found;
}

replacement_report adaptive_policy::report() const noexcept {
    replacement_report report{
        .window_share = division_advisor::divisions[advisor_->current().chosen].window_share,
        .admissions_refused = clock_.refused()};
    report.ages_at_eviction = advisor_->ages();
    if (const auto factors = advisor_->factors()) {
        report.miss_factor_at_half = factors->at_half;
        report.miss_factor_at_twice = factors->at_twice;
    }
    return report;
}

std::size_t adaptive_policy::memory() const noexcept {
    return clock_.memory() + advisor_->memory_of_a_shard() + sampled_.capacity() * sizeof(sampled_entry);
}

std::unique_ptr<eviction_policy> make_adaptive_policy(std::uint64_t seed,
                                                      std::shared_ptr<shared_advisor> advisor,
                                                      const entry_weights* weights) {
    return std::make_unique<adaptive_policy>(seed, std::move(advisor), weights);
}

}  // namespace levee::local_detail
