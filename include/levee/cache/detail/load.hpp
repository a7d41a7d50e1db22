/// The two drivers of a load: a blocking caller's and an asynchronous one's. Both join the same flights.
#pragma once

#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "levee/async/blocking.hpp"
#include "levee/cache/detail/async_waiter.hpp"
#include "levee/cache/detail/cache_core.hpp"

namespace levee::cache_detail {

/// How a loader wants to be run.
struct loader_kind {
    bool is_coroutine = false;
    bool is_detachable = false;  ///< It may outlive the call that brought it.

    /// It can run while its caller goes on.
    template <class Options>
    [[nodiscard]] bool runs_in_background(const Options& options) const noexcept {
        return is_detachable &&
               static_cast<bool>(is_coroutine ? options.executor : options.blocking_executor);
    }

    [[nodiscard]] flight::role leaders_role() const noexcept {
        return is_detachable ? flight::role::leader : flight::role::loader_owner;
    }
};

/// Throws std::invalid_argument without the executor that a caller who must not block needs.
template <class Options>
void check_executors(const Options& options, loader_kind kind) {
    if (kind.is_coroutine ? !options.executor : !options.blocking_executor) {
        missing_executor(options.name, kind.is_coroutine ? "executor" : "blocking_executor",
                         kind.is_coroutine ? "a coroutine loader" : "an asynchronous caller's plain loader");
    }
}

/// Runs a load and ends its flight. The core is held weakly: a cache destroyed meanwhile is not touched.
template <class Core>
class load_runner {
    using flight_ptr = typename Core::flight_ptr;

public:
    load_runner(const std::shared_ptr<Core>& core, flight_ptr flight)
        : core_(core), flight_(std::move(flight)) {}
    load_runner(load_runner&& other) noexcept
        : core_(std::move(other.core_)), flight_(std::exchange(other.flight_, nullptr)) {}
    load_runner(const load_runner&) = delete;
    load_runner& operator=(const load_runner&) = delete;
    load_runner& operator=(load_runner&&) = delete;

    /// Ends the flight if nothing else has: the load was dropped unrun, as by a context that goes away.
    ~load_runner() {
        if (flight_ != nullptr) {
            end_with(std::make_exception_ptr(error(errc::closed, "the load was dropped by its executor")));
        }
    }

    /// Hands the duty to another runner.
    void dismiss() noexcept { flight_.reset(); }

    /// A plain loader, on the calling thread.
    void run() noexcept {
        std::exception_ptr
            failure;  // not ended in a catch clause: by then the waiters have the exception, too
        try {
            if (begin()) {
                const loading_scope scope(*flight_);
                load_context context(*flight_);
                flight_->obtain(context);
            }
            failure = failure_of(flight_->answer);
        } catch (...) {
            failure = std::current_exception();
        }
        end_with(std::move(failure));
    }

    /// A coroutine loader, on the executor that this is spawned on.
    static boost::asio::awaitable<void> run_async(load_runner self) {
        std::exception_ptr failure;
        try {
            if (self.begin()) {
                load_context context(*self.flight_);
                co_await self.flight_->async_obtain(context);
            }
            failure = failure_of(self.flight_->answer);
        } catch (...) {
            failure = std::current_exception();
        }
        self.end_with(std::move(failure));
    }

    /// Whoever makes a flight runs it: here for an asynchronous caller, who must not be blocked.
    static void start(const std::shared_ptr<Core>& core, flight_ptr flight, bool is_coroutine) noexcept {
        flight->watch_deadline();
        load_runner runner(core, flight);
        try {
            if (is_coroutine) {
                flight->start(run_async(std::move(runner)));
            } else {
                boost::asio::post(core->options().blocking_executor,
                                  [runner = std::move(runner)]() mutable { runner.run(); });
            }
        } catch (
            ...) {  // NOLINT(bugprone-empty-catch): the runner, wherever it was moved to, ends the flight
        }
    }

private:
    /// False: nothing needs to be loaded, the answer is there.
    [[nodiscard]] bool begin() {
        if (!flight_->begin()) {
            throw error(errc::cancelled, "nobody waits for the load any more");
        }
        const auto core = core_.lock();
        return core == nullptr || !core->begin(*flight_);
    }

    void end_with(std::exception_ptr failure) noexcept {
        const flight_ptr ended = std::exchange(flight_, nullptr);
        ended->error = std::move(failure);
        if (const auto core = core_.lock()) {
            core->end(*ended);
        } else {
            ended->finish(ended->error == nullptr);
        }
    }

    std::weak_ptr<Core> core_;
    flight_ptr flight_;
};

/// What an asynchronous caller does with the flight that he made or found: it runs, and ends, on executors.
struct on_executors {
    loader_kind kind{};

    template <class Core>
    void lead(const std::shared_ptr<Core>& core, typename Core::flight_ptr flight) const noexcept {
        load_runner<Core>::start(core, std::move(flight), kind.is_coroutine);
    }
    template <class Core>
    void follow(const typename Core::flight_ptr& flight) const noexcept {
        flight->watch_deadline();
    }
};

/// Loads anew while the caller goes on with what there is. What cannot be begun is left to the next caller.
template <class Core, class Make, class Driver>
void refresh_in_background(const std::shared_ptr<Core>& core, const typename Core::key_type& key,
                           const Driver& driver, Make& make) noexcept {
    try {
        auto [awaited, leads] = core->flights().find_or_lead(key, make);
        if (leads) {
            driver.lead(core, awaited);
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): closed, or out of memory
    }
}

/// True: what was found answers, and a load is under way where one is due. False: the caller is to load,
/// since nothing answers or since he is the one who loads anew for all.
template <class Core, class V, class Make>
[[nodiscard]] bool answers_now(const std::shared_ptr<Core>& core, const typename Core::key_type& key,
                               loader_kind kind, Make& make, const found<V>& it, bool may_wait) {
    if (!it.is_hit()) {
        return false;
    }
    if (it.state == freshness::fresh || it.state == freshness::back_off) {
        return true;
    }
    if (kind.runs_in_background(core->options())) {
        refresh_in_background(core, key, on_executors{kind}, make);
        return true;
    }
    return !may_wait || core->flights().find(key) != nullptr;
}

/// The blocking driver: plain loaders run on the calling thread, coroutine loaders on the executor.
/// `make()` makes the flight; `it` is what L1 had, which may stand in for the result.
/// Blocks: until the load ends or its deadline passes.
template <class Core, class V, class Make>
std::optional<V> load_blocking(const std::shared_ptr<Core>& core, const typename Core::key_type& key,
                               loader_kind kind, Make& make, found<V>& it) {
    if (async::runs_on_this_thread(core->options().executor)) {
        throw error(errc::would_deadlock,
                    core->options().name + ": a blocking load on a thread of its executor");
    }
    if (kind.is_coroutine && !core->options().executor) {
        missing_executor(core->options().name, "executor", "a coroutine loader");
    }
    const std::shared_ptr<flight> outer =
        flight::current() != nullptr ? flight::current()->shared_from_this() : nullptr;
    for (;;) {
        auto [awaited, leads] = core->flights().find_or_lead(key, make);
        std::optional<load_runner<Core>> runner;  // ends the flight should anything below throw
        if (leads) {
            runner.emplace(core, awaited);
        }
        const wait_edge edge(outer, awaited);
        blocking_waiter waiter;
        const bool has_reserve = it.value && it.state != freshness::absent;
        if (has_reserve) {
            waiter.set_has_reserve();
        }
        // A loader that may outlive this call gives way to the soft timeout only on another thread.
        const bool is_posted =
            kind.is_coroutine || (has_reserve && kind.runs_in_background(core->options()) &&
                                  awaited->soft_deadline() < awaited->deadline());
        const auto joined = awaited->join(waiter, leads ? kind.leaders_role() : flight::role::guest);
        if (joined == flight::joined::ended) {
            return awaited->result();
        }
        if (joined == flight::joined::stopping) {
            if (leads) {
                // Its deadline passed before it began, or the cache is being destroyed.
                throw error(awaited->has_expired() ? errc::timeout : errc::closed, core->options().name);
            }
            core->flights().detach(*awaited, false);
            continue;
        }
        if (!leads) {
            core->count_join();
        } else if (is_posted) {
            runner->dismiss();
            load_runner<Core>::start(core, awaited, kind.is_coroutine);
        } else {
            runner->run();
        }
        const flight_outcome outcome = waiter.wait(*awaited);
        if (outcome == flight_outcome::result) {
            return awaited->result();
        }
        if (stands_in(core->counters(), outcome, it, core->now())) {
            return std::move(it.value);
        }
        std::rethrow_exception(let_go(outcome));
    }
}

/// The asynchronous driver. `outer`: the flight whose loader asks, null if none. `make()` makes the flight.
/// Completes on the handler's executor, never inside this call. Once the waiter has joined, the operation
/// may complete on another thread and free what it was begun with: from there on nothing of the caller's
/// is touched, which is why `core` comes by value. `driver`: as `on_executors`.
template <class Core, class V, class Make, class Driver, class Handler>
void load_async(std::shared_ptr<Core> core, const typename Core::key_type& key, loader_kind kind,
                const std::shared_ptr<flight>& outer, Make& make, const Driver& driver, found<V> it,
                Handler handler) {
    using waiter_type = async_waiter<typename Core::key_type, V, Handler>;
    auto waiter = std::make_unique<waiter_type>(std::move(handler), std::move(it));
    try {
        for (;;) {
            auto [awaited, leads] = core->flights().find_or_lead(key, make);
            std::optional<load_runner<Core>> runner;  // ends the flight should anything below throw
            if (leads) {
                runner.emplace(core, awaited);
            } else if (waiter->runs_on_strand_of(*awaited)) {
                throw error(errc::recursive_load);
            }
            waiter->prepare(awaited, wait_edge(outer, awaited));
            const auto joined = awaited->join(*waiter, leads ? kind.leaders_role() : flight::role::guest);
            if (joined == flight::joined::yes) {
                static_cast<void>(waiter.release());  // the flight's now; it may be finished any moment
                if (leads) {
                    runner->dismiss();
                    driver.lead(core, awaited);
                } else {
                    core->count_join();
                    driver.template follow<Core>(awaited);
                }
                return;
            }
            waiter->unprepare();
            if (joined == flight::joined::ended) {
                auto value = awaited->result();
                post_completion<V>(waiter->take_handler(), nullptr, std::move(value));
                return;
            }
            if (leads) {
                throw error(awaited->has_expired() ? errc::timeout : errc::closed, core->options().name);
            }
            core->flights().detach(*awaited, false);
        }
    } catch (...) {
        waiter->unprepare();
        post_completion<V>(waiter->take_handler(), std::current_exception(), std::nullopt);
    }
}

/// The same with a loader, or a source, that executors run.
template <class Core, class V, class Make, class Handler>
void load_on_executors(const std::shared_ptr<Core>& core, const typename Core::key_type& key,
                       loader_kind kind, const std::shared_ptr<flight>& outer, Make& make, found<V> it,
                       Handler handler) {
    try {
        check_executors(core->options(), kind);
    } catch (...) {
        post_completion<V>(std::move(handler), std::current_exception(), std::nullopt);
        return;
    }
    load_async<Core, V>(core, key, kind, outer, make, on_executors{kind}, std::move(it), std::move(handler));
}

}  // namespace levee::cache_detail
