#include "levee/resilience/retry_budget.hpp"

#include "resilience/option_error.hpp"

#include <algorithm>

namespace levee {
namespace {

// Part number above, count below. Parts wrap after 2^32 tenths of the window, which nobody waits for.
constexpr std::uint64_t word_of(std::uint32_t part, std::uint32_t count) noexcept {
    return std::uint64_t{part} << 32U | count;
}
constexpr std::uint32_t part_in(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 32U);
}
constexpr std::uint32_t count_in(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word);
}
constexpr std::uint64_t one_more(std::uint64_t word, std::uint32_t part) noexcept {
    const std::uint32_t count = part_in(word) == part ? count_in(word) : 0;
    return word_of(part, count + (count < UINT32_MAX ? 1 : 0));
}

}  // namespace

void validate(const retry_budget_options& options) {
    using resilience_detail::option_text;
    using resilience_detail::refuse_option;
    if (!(options.share >= 0.0 && options.share <= 1000.0)) {  // written so that NaN is refused
        refuse_option("retry_budget_options::share", option_text(options.share), "in [0, 1000]");
    }
    if (!(options.minimum_a_second >= 0.0 && options.minimum_a_second <= 1e9)) {
        refuse_option("retry_budget_options::minimum_a_second", option_text(options.minimum_a_second),
                      "in [0, 1e9]");
    }
    if (options.window < std::chrono::milliseconds(1)) {
        refuse_option("retry_budget_options::window", option_text(options.window), "at least 1 ms");
    }
}

retry_budget::retry_budget(const retry_budget_options& options) : options_((validate(options), options)) {}

std::uint32_t retry_budget::part_of(time_point at) const noexcept {
    // Above zero, so that an untouched word is of no part.
    return static_cast<std::uint32_t>(at.time_since_epoch() / (options_.window / parts)) + 2 * parts;
}

void retry_budget::record_request(time_point now) noexcept {
    const std::uint32_t part = part_of(now);
    if (counts* const mine = requests_.try_local()) [[likely]] {
        auto& word = (*mine)[part % (parts + 1)];  // this thread is the only writer
        word.store(one_more(word.load(std::memory_order_relaxed), part), std::memory_order_relaxed);
        return;
    }
    auto& word = requests_without_slot_[part % (parts + 1)];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, one_more(seen, part), std::memory_order_relaxed)) {
    }
}

std::uint64_t retry_budget::requests(std::uint32_t part) const noexcept {
    std::uint64_t sum = 0;
    const auto add = [&](const counts& from) {
        for (const auto& word : from) {
            const std::uint64_t seen = word.load(std::memory_order_relaxed);
            sum += part - part_in(seen) < parts ? count_in(seen) : 0;
        }
    };
    requests_.for_each(add);
    add(requests_without_slot_);
    return sum;
}

std::uint64_t retry_budget::spent_locked(std::uint32_t part) const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t word : spent_) {
        sum += part - part_in(word) < parts ? count_in(word) : 0;
    }
    return sum;
}

double retry_budget::available_locked(std::uint32_t part) const noexcept {
    const double seconds = std::chrono::duration<double>(options_.window).count();
    return options_.share * static_cast<double>(requests(part)) + options_.minimum_a_second * seconds -
           static_cast<double>(spent_locked(part));
}

bool retry_budget::try_spend(time_point now) {
    const std::uint32_t part = part_of(now);
    const std::lock_guard lock(mutex_);
    // A thousandth below one: shares such as 0.2 are not exact in binary.
    if (available_locked(part) < 0.999) {
        return false;
    }
    std::uint64_t& word = spent_[part % (parts + 1)];
    word = one_more(word, part);
    return true;
}

void retry_budget::give_back(time_point now) {
    const std::uint32_t part = part_of(now);
    const std::lock_guard lock(mutex_);
    // From the newest part that has one.
    for (std::uint32_t back = 0; back < parts; ++back) {
        std::uint64_t& word = spent_[(part - back) % (parts + 1)];
        if (part_in(word) == part - back && count_in(word) > 0) {
            word -= 1;
            return;
        }
    }
}

double retry_budget::available(time_point now) const {
    const std::lock_guard lock(mutex_);
    return (std::max)(0.0, available_locked(part_of(now)));
}

}  // namespace levee
