/// Invalidations collected first and published together.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "levee/cache/detail/cache_writes.hpp"
#include "levee/core/hash.hpp"

namespace levee {

template <class K, class V, class Hash, class Eq>
class cache;

/// What `cache::defer` gives: remembers what is to be dropped until `commit`; destruction drops the list.
///
///     auto changes = products.defer();
///     transaction t(db);
///     t.update("42", ...);        changes.invalidate("42");
///     t.update("category 7", ...);  changes.invalidate_tag("category:7");
///     t.commit();                 // throws: nothing was changed, and nothing is invalidated
///     changes.commit();
///
/// Nothing is changed in the cache before `commit`: what is read meanwhile may be cached, and is dropped
/// then. Whether and when the list was committed is the caller's affair; the cache may be gone by then.
///
/// Thread safety: distinct objects: safe; shared objects: unsafe.
template <class K, class V, class Hash = levee::hash<K>, class Eq = std::equal_to<>>
class deferred_invalidations {
    using core = cache_detail::cache_core<K, V, Hash, Eq>;
    using changes_type = cache_detail::collected_changes<K>;
    using writes = cache_detail::cache_writes<core>;

public:
    deferred_invalidations(deferred_invalidations&&) noexcept = default;
    deferred_invalidations& operator=(deferred_invalidations&&) noexcept = default;
    deferred_invalidations(const deferred_invalidations&) = delete;
    deferred_invalidations& operator=(const deferred_invalidations&) = delete;
    ~deferred_invalidations() = default;

    // What each does, once committed, is told in `cache`. Errors: std::bad_alloc; of tags and prefixes
    // errc::unavailable from an L2 without marks.
    void invalidate(K key) { changes_.keys.push_back({std::move(key), false}); }
    void expire(K key) { changes_.keys.push_back({std::move(key), true}); }
    void invalidate_tag(std::string_view tag) { add(cache_detail::mark_of_tag(tag)); }
    void invalidate_prefix(std::string_view prefix) {
        static_assert(key_encodable<K>, "levee: prefixes are of keys' texts: give K a levee::key_codec");
        add(cache_detail::mark_of_prefix(prefix));
    }

    [[nodiscard]] bool empty() const noexcept { return changes_.keys.empty() && changes_.marks.empty(); }

    /// Forgets what was collected.
    void drop() noexcept { changes_ = {}; }

    /// Does all of it, each key and tag once; the list is empty then, and can be used again. L2 is asked
    /// once to drop the keys, once for each that expires and for each tag or prefix; then L1 is changed,
    /// then the peers are told. `reach::queued`: L2 or the backplane did not answer to some of it.
    ///
    /// Blocks: for L2 and the backplane, if there are any.
    reach commit() { return writes::commit(*core_, std::exchange(changes_, {})); }

    /// Completes with `void(std::exception_ptr, reach)`; goes on when it is cancelled late. Errors:
    /// std::invalid_argument for a cache without `executor`.
    template <class Token>
    auto async_commit(Token&& token) {
        const auto& options = core_->options();
        if (!options.executor) {
            cache_detail::missing_executor(options.name, "executor", "an asynchronous write");
        }
        return boost::asio::co_spawn(options.executor,
                                     writes::async_commit(core_, std::exchange(changes_, {})),
                                     std::forward<Token>(token));
    }

private:
    friend class cache<K, V, Hash, Eq>;

    explicit deferred_invalidations(std::shared_ptr<core> of) : core_(std::move(of)) {}

    void add(std::string mark) {
        if (core_->remote() != nullptr) {
            core_->remote()->check_marks();
        }
        changes_.marks.push_back(std::move(mark));
    }

    std::shared_ptr<core> core_;
    changes_type changes_{};
};

}  // namespace levee
