#include <algorithm>
#include <bit>
#include <chrono>
#include <random>
#include <stdexcept>
#include <string>

#include "levee/local/detail/option_checks.hpp"
#include "levee/local/detail/slot_index.hpp"

namespace levee::local_detail {
namespace {

constexpr std::size_t most_shards = 4096;
constexpr std::size_t least_entries_in_a_shard = 512;

[[noreturn]] void refuse(const std::string& field, const std::string& value, const std::string& range) {
    throw std::invalid_argument("local_cache_options::" + field + " is " + value + "; " + range);
}

std::string text(duration value) {
    return std::to_string(value.count()) + " ns";
}

std::string text(double value) {
    std::string digits = std::to_string(value);  // "1.500000": as a person would write it, 1.5
    if (digits.find('.') != std::string::npos) {
        digits.erase(digits.find_last_not_of('0') + 1);
        if (digits.back() == '.') {
            digits.pop_back();
        }
    }
    return digits;
}

void check_not_negative(const char* field, duration value) {
    if (value < duration::zero()) {
        refuse(field, text(value), "it must be in [0 ns, duration::max()]");
    }
}

}  // namespace

void check_options(const checked_options& options) {
    check_max_entries(options.max_entries, options.max_weight);
    if (options.max_weight != 0 && !options.has_weigher) {
        refuse("weigher", "null while max_weight is " + std::to_string(options.max_weight),
               "a bound on weight needs one");
    }
    check_not_negative("time_to_live", options.time_to_live);
    check_not_negative("time_to_idle", options.time_to_idle);
    check_not_negative("compute_timeout", options.compute_timeout);
    if (!(options.ttl_jitter >= 0.0 && options.ttl_jitter < 1.0)) {  // in this form NaN is refused, too
        refuse("ttl_jitter", text(options.ttl_jitter), "it must be in [0, 1)");
    }
    if (options.shards == 0 || options.shards > most_shards) {
        refuse("shards", std::to_string(options.shards),
               "it must be in [1, " + std::to_string(most_shards) + "]");
    }
}

std::size_t shard_count(const checked_options& options) noexcept {
    std::size_t count = std::bit_ceil(options.shards);
    if (options.max_entries != 0) {
        while (count > 1 && options.max_entries / count < least_entries_in_a_shard) {
            count /= 2;
        }
    }
    return count;
}

std::size_t entries_in_a_shard(std::size_t max_entries, std::size_t shards) noexcept {
    return std::min(max_entries / shards + (max_entries % shards != 0 ? 1U : 0U), slot_index::most_entries);
}

std::uint64_t random_seed() noexcept {
    auto seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    try {
        std::random_device source;
        seed ^= std::uint64_t{source()} << 32 ^ source();
    } catch (...) {  // then the time has to do
    }
    return splitmix64(seed)();
}

void check_ttl(duration ttl) {
    if (ttl < duration::zero()) {
        throw std::invalid_argument("ttl is " + text(ttl) + "; it must be in [0 ns, duration::max()]");
    }
}

void check_max_entries(std::size_t max_entries, std::size_t max_weight) {
    if (max_entries == 0 && max_weight == 0) {
        refuse("max_entries", "0",
               "it must be in [1, SIZE_MAX] while max_weight is 0, since a cache needs a bound");
    }
}

time_point end_of_life(time_point now, duration ttl, double jitter, xoshiro256& generator) noexcept {
    if (ttl == duration::zero() || ttl == duration::max()) {
        return time_point::max();
    }
    if (jitter > 0.0) {
        const double share = jitter * uniform_unit(generator);  // < 1, so the product stays below 2^63
        const duration cut(static_cast<duration::rep>(static_cast<double>(ttl.count()) * share));
        ttl = std::max(ttl - std::min(cut, ttl), duration(1));
    }
    return after(now, ttl);
}

}  // namespace levee::local_detail
