// What a local cache restores, under libFuzzer: any bytes, and any entries in a
// sound frame: the first are refused with errc::invalid_data and nothing stored, unless they are sound, the
// second are taken, and the cache agrees with itself. Built where the compiler is clang, as the target
// levee_local_snapshot_fuzz.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/local/local_cache.hpp"

namespace {

void require(bool is_so) {
    if (!is_so) {
        std::abort();
    }
}

void append(std::string& to, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i, number >>= 8U) {
        to.push_back(static_cast<char>(number & 0xffU));
    }
}

/// Nobody guesses a sum or a count. The bytes are cut into entries: one byte says how long, one how it lives.
std::string completed(const std::uint8_t* data, std::size_t size) {
    std::string whole = "levee-L1";
    append(whole, 1, 4);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i + 1 < size; ++count) {
        const std::size_t length = (std::min)(std::size_t{data[i]}, size - i - 2);
        append(whole, length, 4);
        append(whole, data[i + 1] < 128 ? std::uint64_t{data[i + 1]} << 56U : data[i + 1], 8);
        whole.append(reinterpret_cast<const char*>(data) + i + 2, length);
        i += 2 + length;
    }
    append(whole, 0xffffffff, 4);
    append(whole, count, 8);
    std::uint64_t sum = 0xcbf29ce484222325;
    for (const char byte : whole) {
        sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    append(whole, sum, 8);
    return whole;
}

/// How many entries it took; none: refused.
std::optional<std::size_t> restored(const std::string& bytes) {
    levee::local_cache<std::string, std::string> cache({.max_entries = 64});
    std::istringstream in(bytes);
    std::optional<std::size_t> count;
    try {
        count = cache.restore(
            in, [](std::string_view entry) -> std::optional<std::pair<std::string, std::string>> {
                if (entry.empty()) {
                    return std::nullopt;
                }
                return std::pair(std::string(entry.substr(0, 1)), std::string(entry.substr(1)));
            });
    } catch (const levee::error& thrown) {
        require(thrown.code() == levee::errc::invalid_data && cache.estimated_size() == 0);
    }
    require(cache.is_consistent() && cache.estimated_size() <= 64 &&
            cache.estimated_size() <= count.value_or(0));
    return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    static_cast<void>(restored(bytes));
    require(restored(completed(data, size)).has_value());
    return 0;
}
