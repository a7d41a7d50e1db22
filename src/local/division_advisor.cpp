#include "local/division_advisor.hpp"

#include <algorithm>
#include <bit>

#include "levee/core/random.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t fewest_slots = 128, most_slots = 2048;
constexpr std::size_t entries_a_slot = 64;  // of the cache, between those
constexpr std::uint64_t period = 512;       // requests from one judgement to the next
constexpr double kept = 0.9;                // of a score, at each judgement
constexpr double worth_it = 0.01;           // of all requests: what another division must have more in hits
constexpr double fewest_told = 1000;        // requests, before sizes are compared

}  // namespace

void division_advisor::resize(std::size_t entries, bool weighted) {
    const std::size_t wanted = std::clamp(entries / entries_a_slot, fewest_slots, most_slots);
    const auto bits = static_cast<unsigned>(std::bit_width((std::max<std::size_t>(entries, 1) - 1) / wanted));
    const std::size_t nominal = std::max<std::size_t>(entries >> bits, 4);
    if (!shadows_.empty() && bits == sample_bits_ && nominal == nominal_) {
        return;
    }
    std::vector<shadow_cache> fresh;
    fresh.reserve(ways + 2);
    splitmix64 seeds(seed_);
    const std::size_t slots = nominal + nominal / 4 + 8;
    for (std::size_t i = 0; i < ways + 2; ++i) {
        fresh.emplace_back(seeds(), i == half ? slots / 2 : i == twice ? 2 * slots : slots, weighted);
        fresh[i].divide(divisions[i < ways ? i : chosen_]);
    }
    shadows_.swap(fresh);
    sample_bits_ = bits;
    nominal_ = nominal;
    hits_ = {};
    scores_ = {};
    requests_ = 0;
    asked_ = 0;
    match(nominal, ~std::uint64_t{0} >> 2);
}

void division_advisor::access(std::uint32_t hash, std::uint64_t weight, std::size_t held_entries,
                              std::uint64_t held_weight) noexcept {
    for (std::size_t i = 0; i < shadows_.size(); ++i) {
        hits_[i] += shadows_[i].access(hash, weight) ? 1 : 0;
    }
    if (++asked_ >= period) {
        judge();
        if (held_entries != 0) {
            match(held_entries, held_weight);
        }
    }
}

void division_advisor::judge() noexcept {
    requests_ = requests_ * kept + static_cast<double>(asked_);
    asked_ = 0;
    std::size_t best = 0;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
        scores_[i] = scores_[i] * kept + static_cast<double>(hits_[i]);
        hits_[i] = 0;
        if (i < ways && scores_[i] > scores_[best]) {
            best = i;
        }
    }
    if (scores_[best] - scores_[chosen_] > worth_it * requests_) {
        chosen_ = best;
        shadows_[half].divide(divisions[best]);
        shadows_[twice].divide(divisions[best]);
    }
}

void division_advisor::match(std::size_t entries, std::uint64_t weight) noexcept {
    for (std::size_t i = 0; i < shadows_.size(); ++i) {
        if (i == half) {
            shadows_[i].set_capacity(entries / 2, weight / 2);
        } else if (i == twice) {
            shadows_[i].set_capacity(entries * 2, weight * 2);
        } else {
            shadows_[i].set_capacity(entries, weight);
        }
    }
}

std::optional<division_advisor::miss_factors> division_advisor::factors() const noexcept {
    const double misses = requests_ - scores_[chosen_];
    if (requests_ < fewest_told || misses < 1) {
        return std::nullopt;
    }
    return miss_factors{(requests_ - scores_[half]) / misses, (requests_ - scores_[twice]) / misses};
}

std::size_t division_advisor::memory() const noexcept {
    std::size_t sum = shadows_.capacity() * sizeof(shadow_cache);
    for (const auto& shadow : shadows_) {
        sum += shadow.memory();
    }
    return sum;
}

}  // namespace levee::local_detail
