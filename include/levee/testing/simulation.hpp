/// Virtual time and a seeded order of events: concurrent code run on one thread, the same way every time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "levee/async/scheduler.hpp"
#include "levee/core/clock.hpp"

namespace levee::testing {

/// An executor, a clock and a scheduler on which time passes only when nothing is left to do now.
///
/// What is ready runs in an order drawn from the seed, so different seeds are different interleavings and
/// one seed is always the same one. When nothing is ready, time jumps to the next sleeper; who sleeps until
/// `time_point::max()` is woken by cancellation only.
///
///     testing::simulation world(seed);
///     cache<int, int> c({.local = {.max_entries = 10, .clock = &world.clock()},
///                        .scheduler = world.scheduler()});
///     asio::co_spawn(world.executor(), some_test(c), asio::detached);
///     world.run();
///
/// Thread safety: unsafe: everything, posting included, happens on one thread. Blocking calls of levee
/// must not be made on it: nothing would wake them.
/// Destruction destroys what has not run. Objects that use the executor must not outlive it.
class simulation final : public boost::asio::execution_context {
public:
    class executor_type;

    explicit simulation(std::uint64_t seed);
    ~simulation();

    [[nodiscard]] executor_type get_executor() noexcept;
    [[nodiscard]] boost::asio::any_io_executor executor() noexcept;

    /// For options that take a scheduler; valid as long as the simulation.
    [[nodiscard]] std::shared_ptr<async::scheduler> scheduler() const noexcept;

    /// Virtual time, for options that take a clock.
    [[nodiscard]] const levee::clock& clock() const noexcept;
    [[nodiscard]] time_point now() const noexcept { return clock().now(); }

    /// Runs what is ready and lets time pass until nothing is left, or until `steps` functions ran (the
    /// bound on tests that would not end). Returns how many ran. Errors: what a function throws.
    std::size_t run(std::size_t steps = 10'000'000);

    /// Runs what is ready or becomes so within `span`, and moves time on by just that.
    std::size_t run_for(duration span);

    /// Runs one ready function, or moves time to the next sleeper and runs one that then is. False: none.
    bool step();

    /// How many functions are ready and how many sleepers wait.
    [[nodiscard]] std::size_t ready() const noexcept;
    [[nodiscard]] std::size_t sleeping() const noexcept;

private:
    friend class executor_type;
    struct world;
    struct task;

    void submit(std::unique_ptr<task> work);
    void drop_all() noexcept;
    bool run_ready();
    bool wake_next(time_point limit);

    std::unique_ptr<world> world_;
};

/// A function to run; the executor's own, because std::function copies.
struct simulation::task {
    virtual ~task() = default;
    virtual void run() = 0;
};

/// The simulation as an Asio executor: never runs anything inside `execute`.
class simulation::executor_type {
public:
    explicit executor_type(simulation& context) noexcept : context_(&context) {}

    [[nodiscard]] simulation& query(boost::asio::execution::context_t /*p*/) const noexcept {
        return *context_;
    }
    [[nodiscard]] static constexpr boost::asio::execution::blocking_t query(
        boost::asio::execution::blocking_t /*p*/) noexcept {
        return boost::asio::execution::blocking.never;
    }
    [[nodiscard]] executor_type require(boost::asio::execution::blocking_t::never_t /*p*/) const noexcept {
        return *this;
    }

    template <class Function>
    void execute(Function&& function) const {
        struct held final : task {
            explicit held(Function&& f) : function(std::forward<Function>(f)) {}
            void run() override { std::move(function)(); }
            std::decay_t<Function> function;
        };
        context_->submit(std::make_unique<held>(std::forward<Function>(function)));
    }

    friend bool operator==(const executor_type&, const executor_type&) noexcept = default;

private:
    simulation* context_;
};

}  // namespace levee::testing
