#include "levee/cache/write_behind_options.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace levee::cache_detail {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("write_behind_options::") + field + " is " + value +
                                "; it must be " + range);
}

void at_least_one(const char* field, std::size_t value) {
    if (value == 0) {
        refuse(field, "0", "at least 1");
    }
}

void not_negative(const char* field, duration value) {
    if (value < duration::zero()) {
        refuse(field, std::to_string(value.count()) + " ns", "zero or more");
    }
}

}  // namespace

void validate(const write_behind_limits& limits) {
    not_negative("flush_interval", limits.flush_interval);
    not_negative("full_timeout", limits.full_timeout);
    not_negative("batch_time", limits.batch_time);
    not_negative("age_alarm", limits.age_alarm);
    not_negative("close_timeout", limits.close_timeout);
    if (limits.durable_timeout <= duration::zero()) {
        refuse("durable_timeout", std::to_string(limits.durable_timeout.count()) + " ns", "more than zero");
    }
    at_least_one("max_pending", limits.max_pending);
    at_least_one("max_pending_bytes", limits.max_pending_bytes);
    at_least_one("max_dead_letters", limits.max_dead_letters);
    at_least_one("batch_attempts", limits.batch_attempts);
    at_least_one("max_attempts", limits.max_attempts);
    at_least_one("permanent_attempts", limits.permanent_attempts);
    if (limits.workers < 1 || limits.workers > 64) {
        refuse("workers", std::to_string(limits.workers), "in [1, 64]");
    }
    if (limits.batch_size < 1 || limits.batch_size > 65'536) {
        refuse("batch_size", std::to_string(limits.batch_size), "in [1, 65536]");
    }
    if (!(limits.max_writes_per_second >= 0.0) || std::isinf(limits.max_writes_per_second)) {
        refuse("max_writes_per_second", std::to_string(limits.max_writes_per_second),
               "zero (no limit) or more");
    }
    levee::validate(limits.backoff);
}

}  // namespace levee::cache_detail
