/// What a loader may know about the load it serves, and wrappers that say what a loader may do.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "levee/cache/detail/flight.hpp"
#include "levee/core/clock.hpp"

namespace levee {

/// Given to a loader that takes it as its second argument. Valid while the loader runs.
///
/// A coroutine loader that asks a cache for other keys hands it on, `async_get_or_load(key, load, context,
/// token)`, so that loads that wait for each other in a circle end with errc::recursive_load instead of
/// their timeout. Plain loaders need not: their thread tells.
///
/// Thread safety: safe on a shared object.
class load_context {
public:
    explicit load_context(cache_detail::flight& serving) noexcept : serving_(&serving) {}

    /// True once nobody waits for the result any more. Coroutine loaders are cancelled as well (terminal
    /// cancellation); a plain loader that works long may look here and give up.
    [[nodiscard]] bool is_cancelled() const noexcept { return serving_->is_stopping(); }

    /// When the callers' patience ends, on the time line of the cache's scheduler.
    [[nodiscard]] time_point deadline() const noexcept { return serving_->deadline(); }

    /// The load itself, for the caches.
    [[nodiscard]] cache_detail::flight& serving() const noexcept { return *serving_; }

private:
    cache_detail::flight* serving_;
};

/// A loader that may go on after the call that brought it has returned: see `detachable`.
template <class Loader>
struct detachable_loader {
    Loader loader;
};

/// Says that `loader` holds no reference to its caller's locals, so that a caller who is cancelled or times
/// out need not wait for it to end. Without this, `[&]` is safe in every loader.
template <class Loader>
[[nodiscard]] detachable_loader<std::decay_t<Loader>> detachable(Loader&& loader) {
    return {std::forward<Loader>(loader)};
}

}  // namespace levee
