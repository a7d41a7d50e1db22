#include "levee/testing/simulation.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <map>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "levee/testing/manual_clock.hpp"

namespace levee::testing {

namespace asio = boost::asio;

namespace {

/// One that waits for its time, or for its cancellation.
struct sleeper {
    virtual ~sleeper() = default;
    virtual void wake(std::exception_ptr error) = 0;
};

using sleepers = std::multimap<time_point, std::unique_ptr<sleeper>>;

template <class Handler>
struct handler_sleeper final : sleeper {
    explicit handler_sleeper(Handler h) : handler(std::move(h)) {}

    void wake(std::exception_ptr error) override {
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            slot.clear();
        }
        auto executor = asio::get_associated_executor(handler);
        asio::post(executor,
                   [h = std::move(handler), error = std::move(error)]() mutable { std::move(h)(error); });
    }

    Handler handler;
};

}  // namespace

struct simulation::world final : async::scheduler {
    world(simulation& in, std::uint64_t seed) : owner(in), random(seed) {}

    [[nodiscard]] asio::any_io_executor executor() const override { return owner.get_executor(); }
    [[nodiscard]] time_point now() const noexcept override { return time.now(); }

    [[nodiscard]] asio::awaitable<void> sleep_until(time_point until) override {
        auto begin = [this, until](auto handler) {
            auto slot = asio::get_associated_cancellation_slot(handler);
            using handler_type = std::decay_t<decltype(handler)>;
            const auto at =
                asleep.emplace(until, std::make_unique<handler_sleeper<handler_type>>(std::move(handler)));
            if (slot.is_connected()) {
                slot.assign([this, at](asio::cancellation_type /*any*/) {
                    const auto woken = asleep.extract(at);
                    woken.mapped()->wake(std::make_exception_ptr(error(errc::cancelled)));
                });
            }
        };
        co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::exception_ptr)>(
            begin, asio::use_awaitable);
    }

    simulation& owner;
    manual_clock time;
    xoshiro256 random;
    std::vector<std::unique_ptr<task>> ready;
    sleepers asleep;
};

simulation::simulation(std::uint64_t seed) : world_(std::make_unique<world>(*this, seed)) {}

simulation::~simulation() {
    drop_all();
    shutdown();
    drop_all();  // strands have dropped what they held; the rest of it goes while their service is there
    destroy();
}

// Destroying a function may submit or wake others, as coroutine frames do; so until there are none.
void simulation::drop_all() noexcept {
    while (!world_->ready.empty() || !world_->asleep.empty()) {
        const auto ready = std::exchange(world_->ready, {});
        const auto asleep = std::exchange(world_->asleep, {});
    }
}

simulation::executor_type simulation::get_executor() noexcept {
    return executor_type(*this);
}

asio::any_io_executor simulation::executor() noexcept {
    return get_executor();
}

std::shared_ptr<async::scheduler> simulation::scheduler() const noexcept {
    return {std::shared_ptr<void>(), world_.get()};  // not owning: the context must stay the last to go
}

const levee::clock& simulation::clock() const noexcept {
    return world_->time;
}

std::size_t simulation::ready() const noexcept {
    return world_->ready.size();
}

std::size_t simulation::sleeping() const noexcept {
    return world_->asleep.size();
}

void simulation::submit(std::unique_ptr<task> work) {
    world_->ready.push_back(std::move(work));
}

bool simulation::run_ready() {
    auto& ready = world_->ready;
    if (ready.empty()) {
        return false;
    }
    // The drawn one goes to the end, so that taking it out costs nothing.
    const auto drawn = static_cast<std::size_t>(uniform_below(world_->random, ready.size()));
    std::swap(ready[drawn], ready.back());
    const std::unique_ptr<task> next = std::move(ready.back());
    ready.pop_back();
    next->run();
    return true;
}

bool simulation::wake_next(time_point limit) {
    auto& asleep = world_->asleep;
    if (asleep.empty() || asleep.begin()->first > limit) {
        return false;
    }
    const time_point due = asleep.begin()->first;
    if (due == time_point::max()) {
        return false;  // they wait for their cancellation
    }
    if (due > now()) {
        world_->time.set(due);
    }
    while (!asleep.empty() && asleep.begin()->first <= due) {
        const auto woken = asleep.extract(asleep.begin());
        woken.mapped()->wake(nullptr);
    }
    return true;
}

bool simulation::step() {
    return run_ready() || (wake_next(time_point::max()) && run_ready());
}

std::size_t simulation::run(std::size_t steps) {
    std::size_t ran = 0;
    while (ran < steps && step()) {
        ++ran;
    }
    return ran;
}

std::size_t simulation::run_for(duration span) {
    const time_point end = after(now(), span);
    std::size_t ran = 0;
    do {
        while (run_ready()) {
            ++ran;
        }
    } while (wake_next(end));
    world_->time.set(end);
    return ran;
}

}  // namespace levee::testing
