#include "levee/local/detail/load_chain.hpp"

#include "levee/core/error.hpp"

namespace levee::local_detail {
namespace {

// Not state of the process: each scope restores what it found, so it is empty whenever no call is running.
constinit thread_local load_scope* innermost_scope = nullptr;

}  // namespace

load_scope::load_scope(const void* its_cache, std::uint64_t its_hash, const void* its_key) noexcept
    : cache(its_cache), hash(its_hash), key(its_key), outer(innermost_scope) {
    innermost_scope = this;
}

load_scope::~load_scope() {
    innermost_scope = outer;
}

load_scope* load_scope::innermost() noexcept {
    return innermost_scope;
}

void throw_recursive_load() {
    throw error(errc::recursive_load, "local_cache");
}

}  // namespace levee::local_detail
