/// What the calling thread is in the middle of computing.
#pragma once

#include <cstdint>

namespace levee::local_detail {

/// One `make` or `compute` function that runs on this thread, on the stack of the call that runs it; linked
/// to the one it was called from. So a function that asks for its own key, directly or through others, is
/// recognised instead of waiting for itself.
///
/// Thread safety: belongs to the thread that made it.
class load_scope {
public:
    load_scope(const void* cache, std::uint64_t hash, const void* key) noexcept;
    ~load_scope();
    load_scope(const load_scope&) = delete;
    load_scope& operator=(const load_scope&) = delete;

    const void* const cache;
    const std::uint64_t hash;
    const void* const key;
    load_scope* const outer;
    bool wrote_own_key = false;

    /// The innermost on this thread; null: none.
    [[nodiscard]] static load_scope* innermost() noexcept;
};

/// The scope on this thread that computes `key` of `cache`, or null.
template <class K, class Q, class Eq>
[[nodiscard]] load_scope* running_load(const void* cache, std::uint64_t hash, const Q& key, const Eq& equal) {
    for (load_scope* scope = load_scope::innermost(); scope != nullptr; scope = scope->outer) {
        if (scope->cache == cache && scope->hash == hash && equal(*static_cast<const K*>(scope->key), key)) {
            return scope;
        }
    }
    return nullptr;
}

/// Errors: throws errc::recursive_load, always.
[[noreturn]] void throw_recursive_load();

}  // namespace levee::local_detail
