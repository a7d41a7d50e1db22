#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <optional>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/testing/load_generator.hpp"
#include "testing/load_tally.hpp"

namespace levee::testing {
namespace {

namespace asio = boost::asio;

/// One that waits until fewer requests are under way.
struct waiter {
    virtual ~waiter() = default;
    virtual void wake() = 0;
};

template <class Handler>
struct handler_waiter final : waiter {
    explicit handler_waiter(Handler h) : handler(std::move(h)) {}
    void wake() override {
        auto executor = asio::get_associated_executor(handler);
        asio::post(executor, std::move(handler));
    }
    Handler handler;
};

/// The requests under way: counts them, and lets one wait for their end.
class under_way {
public:
    void begin() {
        const std::lock_guard lock(mutex_);
        ++count_;
    }

    void end() {
        std::unique_ptr<waiter> woken;
        {
            const std::lock_guard lock(mutex_);
            if (--count_ < wanted_) {
                woken = std::move(waiting_);
            }
        }
        if (woken) {
            woken->wake();
        }
    }

    /// Completes once fewer than `limit` are under way. Not cancellable: requests end.
    [[nodiscard]] asio::awaitable<void> until_below(std::size_t limit) {
        auto begin = [this, limit](auto handler) {
            std::unique_ptr<waiter> mine =
                std::make_unique<handler_waiter<decltype(handler)>>(std::move(handler));
            {
                const std::lock_guard lock(mutex_);
                if (count_ >= limit) {
                    wanted_ = limit;
                    waiting_.swap(mine);  // empty, as only one waits
                }
            }
            if (mine) {
                mine->wake();
            }
        };
        co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(begin, asio::use_awaitable);
    }

    [[nodiscard]] std::size_t count() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }

private:
    mutable std::mutex mutex_;  // guards all below
    std::size_t count_ = 0, wanted_ = 0;
    std::unique_ptr<waiter> waiting_{};
};

/// What the coroutines of a run share.
struct coroutine_run {
    coroutine_run(const load_profile& profile, percentile_monitor::handle operation,
                  std::function<asio::awaitable<void>()> asked, std::shared_ptr<async::scheduler> clock)
        : schedule(profile),
          tally(operation),
          request(std::move(asked)),
          time(std::move(clock)),
          start(time->now()),
          end(after(start, profile.max_time)) {}

    arrival_schedule schedule;
    testing_detail::load_tally tally;
    const std::function<asio::awaitable<void>()> request;
    const std::shared_ptr<async::scheduler> time;
    const time_point start, end;
    under_way requests{};
};

asio::awaitable<void> send(std::shared_ptr<coroutine_run> run, time_point due) {
    run->tally.sent(run->time->now() - due);
    bool ok = true;
    try {
        co_await run->request();
    } catch (...) {
        ok = false;
    }
    const time_point ended = run->time->now();
    run->tally.ended(ok, ended - due, ended - run->start);
    run->requests.end();
}

// False: it was cancelled.
asio::awaitable<bool> sleep(async::scheduler& time, time_point until) {
    try {
        co_await time.sleep_until(until);
    } catch (const error& problem) {
        if (problem.code() != errc::cancelled) {
            throw;
        }
        co_return false;
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() == asio::cancellation_type::none;
}

// True: everything was sent. Suspends at each request, so that one that is late cannot keep others from
// running.
asio::awaitable<bool> send_all(std::shared_ptr<coroutine_run> run, std::size_t max_in_flight) {
    while (const std::optional<duration> offset = run->schedule.next()) {
        const time_point due = after(run->start, *offset);
        if (!co_await sleep(*run->time, due)) {
            co_return false;
        }
        if (run->requests.count() >= max_in_flight) {
            co_await run->requests.until_below(max_in_flight);
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none || run->time->now() > run->end) {
            co_return false;
        }
        auto request = send(run, due);
        run->requests.begin();
        asio::co_spawn(run->time->executor(), std::move(request), asio::detached);
    }
    co_return true;
}

asio::awaitable<load_report> pace(std::shared_ptr<coroutine_run> run, std::size_t max_in_flight,
                                  std::uint64_t planned) {
    co_await asio::this_coro::throw_if_cancelled(false);  // a cancelled run is waited for, and reported
    std::exception_ptr failure;
    try {
        if (!co_await send_all(run, max_in_flight)) {
            run->tally.stopped(run->time->now() - run->start);
        }
    } catch (...) {
        failure = std::current_exception();  // requests are under way: they come first
    }
    co_await run->requests.until_below(1);
    if (failure) {
        std::rethrow_exception(failure);
    }
    co_return run->tally.report(planned);
}

// Has copies of everything: the generator may go before it is awaited. Then it starts.
asio::awaitable<load_report> start(load_profile profile, percentile_monitor::handle operation,
                                   std::function<asio::awaitable<void>()> request,
                                   std::shared_ptr<async::scheduler> time, std::size_t max_in_flight,
                                   std::uint64_t planned) {
    auto run = std::make_shared<coroutine_run>(profile, operation, std::move(request), std::move(time));
    auto pacing = pace(std::move(run), max_in_flight, planned);
    // A coroutine apart, because it changes how cancellation is met.
    auto executor = co_await asio::this_coro::executor;
    co_return co_await asio::co_spawn(executor, std::move(pacing), asio::use_awaitable);
}

}  // namespace

asio::awaitable<load_report> load_generator::async_run(const std::function<asio::awaitable<void>()>& request,
                                                       std::shared_ptr<async::scheduler> time) const {
    return start(profile_, operation_, request, std::move(time), options_.max_in_flight, planned_);
}

}  // namespace levee::testing
