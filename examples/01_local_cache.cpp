/// A cache inside one process: bounds, lives, one computation for all who ask, statistics.
#include <levee/local/local_cache.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

namespace {

std::uint64_t digits_of_factorial(unsigned n) {  // stands for something slow
    std::string digits = "1";
    for (unsigned factor = 2; factor <= n; ++factor) {
        std::uint64_t carry = 0;
        for (char& digit : digits) {  // lowest first
            carry += static_cast<std::uint64_t>(digit - '0') * factor;
            digit = static_cast<char>('0' + carry % 10);
            carry /= 10;
        }
        for (; carry > 0; carry /= 10) {
            digits += static_cast<char>('0' + carry % 10);
        }
    }
    return digits.size();
}

}  // namespace

int main() {
    // At most 100 entries, each for at most ten minutes. More than fits: what was not asked for goes first.
    levee::local_cache<unsigned, std::uint64_t> cache({.max_entries = 100, .time_to_live = 10min});

    // The first call computes; whoever asks meanwhile waits for it, and later calls find it.
    for (int round = 1; round <= 2; ++round) {
        const auto begun = std::chrono::steady_clock::now();
        const std::uint64_t digits = cache.get_or_compute(2000, digits_of_factorial);
        const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begun;
        std::cout << "2000! has " << digits << " digits; call " << round << " took " << took.count()
                  << " µs\n";
    }

    // A miss is a value, not an error.
    std::cout << "3000! is " << (cache.get(3000) ? "known" : "not known yet") << '\n';

    // The bound holds whenever a call has returned. An entry can also have a life of its own.
    for (unsigned n = 0; n < 1000; ++n) {
        cache.put(n, n, 30s);
    }
    std::cout << "after 1,000 puts it holds " << cache.estimated_size() << " entries\n";

    // What changed elsewhere is dropped; a computation under way for it will not be stored either.
    cache.invalidate(2000);

    const levee::cache_stats stats = cache.stats();
    std::cout << stats.hits << " hits, " << stats.misses << " misses, " << stats.loads << " computed, "
              << stats.evictions << " evicted\n";
}
