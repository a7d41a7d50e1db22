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

    [[nodiscard]] flight::role leaders_role() const noexcept {
        return is_detachable ? flight::role::leader : flight::role::loader_owner;
    }
};

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
        try {
            if (begin()) {
                const loading_scope scope(*flight_);
                load_context context(*flight_);
                flight_->answer = flight_->run(context);
            }
            end_with(failure_of(flight_->answer));
        } catch (...) {
            end_with(std::current_exception());
        }
    }

    /// A coroutine loader, on the executor that this is spawned on.
    static boost::asio::awaitable<void> run_async(load_runner self) {
        std::exception_ptr failure;
        try {
            if (self.begin()) {
                load_context context(*self.flight_);
                self.flight_->answer = co_await self.flight_->run_async(context);
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

/// The blocking driver: plain loaders run on the calling thread, coroutine loaders on the executor.
/// `make()` makes the flight. Blocks: until the load ends or its deadline passes.
template <class Core, class K, class V, class Make>
std::optional<V> load_blocking(const std::shared_ptr<Core>& core, const K& key, loader_kind kind, Make make) {
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
        const auto joined = awaited->join(waiter, leads ? kind.leaders_role() : flight::role::guest);
        if (joined == flight::joined::ended) {
            return awaited->result();
        }
        if (joined == flight::joined::stopping) {
            if (leads) {
                throw error(errc::closed, core->options().name);  // nobody else stops what has just begun
            }
            core->flights().detach(*awaited, false);
            continue;
        }
        if (!leads) {
            core->count_join();
        } else if (kind.is_coroutine) {
            runner->dismiss();
            load_runner<Core>::start(core, awaited, true);
        } else {
            runner->run();
        }
        const flight_outcome outcome = waiter.wait(*awaited);
        if (outcome != flight_outcome::result) {
            std::rethrow_exception(let_go(outcome));
        }
        return awaited->result();
    }
}

/// The asynchronous driver. `outer`: the flight whose loader asks, null if none. `make()` makes the flight.
/// Completes on the handler's executor, never inside this call. Once the waiter has joined, the operation
/// may complete on another thread and free what it was begun with: from there on nothing of the caller's
/// is touched, which is why `core` comes by value.
template <class Core, class K, class V, class Make, class Handler>
void load_async(std::shared_ptr<Core> core, const K& key, loader_kind kind,
                const std::shared_ptr<flight>& outer, Make make, Handler handler) {
    using waiter_type = async_waiter<K, V, Handler>;
    auto waiter = std::make_unique<waiter_type>(std::move(handler));
    try {
        const auto& options = core->options();
        if (kind.is_coroutine ? !options.executor : !options.blocking_executor) {
            missing_executor(
                options.name, kind.is_coroutine ? "executor" : "blocking_executor",
                kind.is_coroutine ? "a coroutine loader" : "an asynchronous caller's plain loader");
        }
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
                    load_runner<Core>::start(core, awaited, kind.is_coroutine);
                } else {
                    core->count_join();
                    awaited->watch_deadline();
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
                throw error(errc::closed, options.name);  // nobody else stops what has just begun
            }
            core->flights().detach(*awaited, false);
        }
    } catch (...) {
        waiter->unprepare();
        post_completion<V>(waiter->take_handler(), std::current_exception(), std::nullopt);
    }
}

}  // namespace levee::cache_detail
