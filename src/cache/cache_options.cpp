#include <stdexcept>
#include <string>

#include "levee/cache/entry_options.hpp"
#include "levee/cache/remote_options.hpp"

namespace levee::cache_detail {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& value, const char* range) {
    throw std::invalid_argument(field + " is " + value + "; it must be " + range);
}

std::string nanoseconds(duration d) {
    return std::to_string(d.count()) + " ns";
}

void not_negative(const char* field, duration value, const char* range) {
    if (value < duration::zero()) {
        refuse(field, nanoseconds(value), range);
    }
}

void above_zero(const char* field, duration value) {
    if (value <= duration::zero()) {
        refuse(field, nanoseconds(value), "more than zero");
    }
}

}  // namespace

void validate(const entry_options& options) {
    not_negative("entry_options::ttl", options.ttl, "zero (for ever) or more");
    not_negative("entry_options::local_ttl", options.local_ttl, "zero (as long as ttl) or more");
    if (!(options.ttl_jitter >= 0.0 && options.ttl_jitter < 1.0)) {
        refuse("entry_options::ttl_jitter", std::to_string(options.ttl_jitter), "in [0, 1)");
    }
    if (options.sliding && options.ttl == duration::zero()) {
        refuse("entry_options::ttl", nanoseconds(options.ttl), "above zero when `sliding` is on");
    }
    not_negative("entry_options::stale_while_revalidate", options.stale_while_revalidate,
                 "zero (off) or more");
    not_negative("entry_options::stale_if_error", options.stale_if_error, "zero (off) or more");
    not_negative("entry_options::error_backoff", options.error_backoff, "zero (none) or more");
    not_negative("entry_options::soft_timeout", options.soft_timeout, "zero (off) or more");
    not_negative("entry_options::negative_ttl", options.negative_ttl, "zero (not remembered) or more");
    above_zero("entry_options::load_timeout", options.load_timeout);
    if (!(options.ahead.fraction >= 0.0 && options.ahead.fraction < 1.0)) {
        refuse("entry_options::ahead.fraction", std::to_string(options.ahead.fraction), "in [0, 1)");
    }
    if (!(options.ahead.beta >= 0.0 && options.ahead.beta <= 1000.0)) {
        refuse("entry_options::ahead.beta", std::to_string(options.ahead.beta), "in [0, 1000]");
    }
}

void validate(const remote_options& options) {
    above_zero("remote_options::timeout", options.timeout);
    above_zero("remote_options::lease", options.lease);
    not_negative("remote_options::lease_wait", options.lease_wait, "zero (not at all) or more");
    not_negative("remote_options::suspect_grace", options.suspect_grace, "zero (not at all) or more");
    above_zero("remote_options::marks_interval", options.marks_interval);
    if (options.max_value_bytes == 0) {
        refuse("remote_options::max_value_bytes", "0", "at least 1");
    }
    if (options.max_key_bytes < 16) {
        refuse("remote_options::max_key_bytes", std::to_string(options.max_key_bytes), "at least 16");
    }
    if (options.max_queued == 0) {
        refuse("remote_options::max_queued", "0", "at least 1");
    }
}

}  // namespace levee::cache_detail
