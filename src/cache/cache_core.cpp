#include "levee/cache/detail/cache_core.hpp"

#include "levee/cache/write_through.hpp"
#include "levee/core/error.hpp"

#include <random>
#include <stdexcept>

namespace levee::cache_detail {

void missing_executor(const std::string& cache, const char* field, const char* what) {
    throw std::invalid_argument("cache_options::" + std::string(field) + " of '" + cache +
                                "' is empty; it must be an executor for " + what);
}

void check_levels(const std::string& cache, bool has_store, bool has_peers, bool has_executor,
                  bool has_key_codec, bool has_codec) {
    if (!has_executor) {
        missing_executor(cache, "executor", has_store ? "a remote level" : "a backplane");
    }
    if (!has_key_codec) {
        throw std::invalid_argument("cache_options::" + std::string(has_peers ? "backplane" : "remote") +
                                    " of '" + cache + "' needs a levee::key_codec for the cache's keys");
    }
    if (has_store && !has_codec) {
        throw std::invalid_argument("cache_options::remote of '" + cache +
                                    "' needs a levee::codec for the cache's values");
    }
}

bool may_have_happened(const std::exception_ptr& failure) noexcept {
    try {
        std::rethrow_exception(failure);
    } catch (const std::system_error& e) {
        // What the source said itself it did not do; what was lost on the way it may have done.
        return e.code() != errc::read_only && e.code() != errc::invalid_data;
    } catch (...) {
        return true;
    }
}

}  // namespace levee::cache_detail
