#include <stdexcept>
#include <string>

#include "levee/cache/entry_options.hpp"

namespace levee::cache_detail {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("entry_options::") + field + " is " + value + "; it must be " +
                                range);
}

std::string nanoseconds(duration d) {
    return std::to_string(d.count()) + " ns";
}

}  // namespace

void validate(const entry_options& options) {
    if (options.ttl < duration::zero()) {
        refuse("ttl", nanoseconds(options.ttl), "zero (for ever) or more");
    }
    if (!(options.ttl_jitter >= 0.0 && options.ttl_jitter < 1.0)) {
        refuse("ttl_jitter", std::to_string(options.ttl_jitter), "in [0, 1)");
    }
    if (options.negative_ttl < duration::zero()) {
        refuse("negative_ttl", nanoseconds(options.negative_ttl), "zero (not remembered) or more");
    }
    if (options.load_timeout <= duration::zero()) {
        refuse("load_timeout", nanoseconds(options.load_timeout), "more than zero");
    }
}

}  // namespace levee::cache_detail
