#include "local/shared_advisor.hpp"

#include "levee/local/detail/policy.hpp"

namespace levee::local_detail {

void shared_advisor::publish() noexcept {
    const std::uint64_t word =
        std::uint64_t{generation_} << 16 | std::uint64_t{advisor_.sample_bits()} << 8 | advisor_.chosen();
    if (word != advice_.load(std::memory_order_relaxed)) {  // writing takes the line from those who read it
        advice_.store(word, std::memory_order_relaxed);
    }
}

void shared_advisor::expect(std::size_t entries, bool is_known, bool weighted) {
    const std::lock_guard lock(mutex_);
    const std::size_t sum = entries * shards_;
    if (!is_known && sum <= sized_for_ && sum >= sized_for_ / 4) {
        return;
    }
    const unsigned before = advisor_.sample_bits();
    advisor_.resize(sum, weighted);
    sized_for_ = sum;
    if (generation_ == 0 || advisor_.sample_bits() != before) {
        ++generation_;
        counted_ = 0;
        held_entries_ = 0;
        held_weight_ = 0;
    }
    publish();
}

void shared_advisor::join() noexcept {
    const std::lock_guard lock(mutex_);
    ++members_;
}

void shared_advisor::leave(const share& told) noexcept {
    const std::lock_guard lock(mutex_);
    --members_;
    if (told.generation == generation_ && generation_ != 0) {
        --counted_;
        held_entries_ -= told.entries;
        held_weight_ -= told.weight;
    }
}

void shared_advisor::tell(std::uint32_t hash, std::uint64_t weight, share& told, const share& now,
                          bool is_full) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) {
        return;
    }
    if (now.generation == generation_) {
        if (told.generation != generation_) {
            told = {generation_, 0, 0};
            ++counted_;
        }
        held_entries_ += now.entries - told.entries;
        held_weight_ += now.weight - told.weight;
        told = now;
    }
    // Shards that have not told yet hold about what the others do.
    const bool is_known = is_full && counted_ != 0;
    advisor_.access(hash, weight, is_known ? held_entries_ * members_ / counted_ : 0,
                    is_known ? held_weight_ * members_ / counted_ : 0);
    publish();
}

std::optional<division_advisor::miss_factors> shared_advisor::factors() const noexcept {
    const std::lock_guard lock(mutex_);
    return advisor_.factors();
}

void shared_advisor::tell_age(std::uint64_t age) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) {
        ages_.add(age * shards_);
    }
}

std::optional<replacement_report::ages> shared_advisor::ages() const noexcept {
    const std::lock_guard lock(mutex_);
    if (ages_.count() == 0) {
        return std::nullopt;
    }
    return replacement_report::ages{ages_.quantile(0.1), ages_.quantile(0.5), ages_.quantile(0.9)};
}

std::size_t shared_advisor::memory_of_a_shard() const noexcept {
    const std::lock_guard lock(mutex_);
    return (sizeof(*this) + advisor_.memory() + shards_ - 1) / shards_;
}

std::shared_ptr<shared_advisor> make_shared_advisor(std::uint64_t seed, std::size_t shards) {
    return std::make_shared<shared_advisor>(seed, shards);
}

}  // namespace levee::local_detail
