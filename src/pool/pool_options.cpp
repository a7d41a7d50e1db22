#include "levee/pool/pool_options.hpp"

#include <stdexcept>
#include <string>

namespace levee {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& value, const std::string& range) {
    throw std::invalid_argument(std::string("pool_options::") + field + " is " + value + "; it must be " +
                                range);
}

void check_above_zero(const char* field, duration value) {
    if (value <= duration::zero()) {
        refuse(field, std::to_string(value.count()) + " ns", "above zero");
    }
}

void check_not_negative(const char* field, duration value) {
    if (value < duration::zero()) {
        refuse(field, std::to_string(value.count()) + " ns", "zero or above");
    }
}

}  // namespace

void validate(const pool_options& options) {
    constexpr std::size_t most = 65'535;
    if (options.max_size == 0 || options.max_size > most) {
        refuse("max_size", std::to_string(options.max_size), "in [1, 65535]");
    }
    if (options.min_idle > options.max_size) {
        refuse("min_idle", std::to_string(options.min_idle),
               "at most max_size, which is " + std::to_string(options.max_size));
    }
    if (options.max_waiters > most) {
        refuse("max_waiters", std::to_string(options.max_waiters), "at most 65535");
    }
    if (options.max_waiters == 0 && options.min_idle == 0) {
        refuse("max_waiters", "0",
               "above 0, or min_idle must be: nobody would ever wait for a connection to be made");
    }
    if (options.max_connecting == 0) {
        refuse("max_connecting", "0", "at least 1");
    }
    if (!(options.lifetime_jitter >= 0.0 && options.lifetime_jitter < 1.0)) {
        refuse("lifetime_jitter", std::to_string(options.lifetime_jitter), "in [0, 1)");
    }
    check_above_zero("acquire_timeout", options.acquire_timeout);
    check_above_zero("validation_timeout", options.validation_timeout);
    check_above_zero("reset_timeout", options.reset_timeout);
    check_above_zero("connect_timeout", options.connect_timeout);
    check_not_negative("idle_timeout", options.idle_timeout);
    check_not_negative("max_lifetime", options.max_lifetime);
    check_not_negative("validate_after_idle", options.validate_after_idle);
    check_not_negative("leak_threshold", options.leak_threshold);
    validate(options.backoff);
    if (!options.executor && options.scheduler == nullptr) {
        throw std::invalid_argument("pool_options::executor is empty; it or scheduler must be set");
    }
}

}  // namespace levee
