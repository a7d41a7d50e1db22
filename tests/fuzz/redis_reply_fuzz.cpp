// The reply path under libFuzzer: any bytes, in any pieces, end as replies or as one error, within the
// limits, and however they are cut the result is the same. Built where the compiler is clang, as the target
// levee_redis_reply_fuzz; `levee_redis_reply_fuzz -max_total_time=60` runs it for a minute.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "redis/reply_parser.hpp"

namespace {

using levee::redis::reply;
using levee::redis::detail::reply_limits;
using levee::redis::detail::reply_parser;

constexpr reply_limits limits{.bytes = 4096, .elements = 256};

void require(bool is_so) {
    if (!is_so) {
        std::abort();
    }
}

struct size {
    std::size_t bytes = 0;
    std::size_t elements = 0;
};

size size_of(const reply& one) {
    size sum;
    if (one.is_array()) {
        for (const reply& each : one.elements()) {
            const size part = size_of(each);
            sum.bytes += part.bytes;
            sum.elements += part.elements + 1;
        }
    } else if (!one.is_nil() && one.kind() != levee::redis::reply_kind::integer) {
        sum.bytes = one.text().size();
    }
    return sum;
}

struct outcome {
    std::vector<reply> replies{};
    bool is_fine = true;
};

outcome parse(const char* data, std::size_t length, std::size_t piece) {
    outcome made;
    reply_parser parser(limits);
    for (std::size_t at = 0; at < length && made.is_fine; at += piece) {
        made.is_fine = parser.feed(data + at, (std::min)(piece, length - at), made.replies);
    }
    require(made.is_fine == !parser.code());
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t length) {
    if (length == 0) {
        return 0;
    }
    const char* const text = reinterpret_cast<const char*>(data) + 1;
    const outcome whole = parse(text, length - 1, length);
    for (const reply& each : whole.replies) {
        const size is = size_of(each);
        require(is.bytes <= limits.bytes && is.elements <= limits.elements);
    }
    // Cut, an error may show earlier or later, but what was complete before it is the same.
    const outcome cut = parse(text, length - 1, 1 + data[0] % 16U);
    if (whole.is_fine) {
        require(cut.is_fine && cut.replies == whole.replies);
    }
    return 0;
}
