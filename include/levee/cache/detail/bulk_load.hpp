/// One call of a bulk loader for the flights of several keys.
///
/// Each key has a flight of its own, which others join, which an invalidation detaches alone, and which
/// looks into the remote level, takes its lease and fills as any other does. Only the load in its midst is
/// shared: the flights gather, then one of them sets the call off, and each goes on with its own answer.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/cache/detail/async_waiter.hpp"
#include "levee/cache/detail/bulk_loader.hpp"
#include "levee/cache/detail/gathering.hpp"
#include "levee/cache/detail/load.hpp"
#include "levee/cache/detail/load_flight.hpp"
#include "levee/cache/detail/load_gate.hpp"

namespace levee::cache_detail {

/// What the loads of one bulk call have in common.
template <class K, class V>
struct bulk_setup {
    std::shared_ptr<bulk_loader<K, V>> loader{};
    loader_kind kind{};
    boost::asio::any_io_executor plain_on{};  ///< Where a plain loader runs.
    bool members_have_timers = false;         ///< They run on executors, which may go away.
    std::shared_ptr<async::scheduler> time{};
    std::shared_ptr<cache_counters> counters{};
    std::shared_ptr<load_gate> gate{};
    time_point deadline{};
    bool is_nested = false;
};

/// A flight whose waiters are the flights of the keys: it stops when all of them have, and its loader's
/// circles of waiting are found through it.
///
/// Thread safety: safe on a shared object.
template <class K, class V>
class bulk_load final : public asio_flight {
public:
    explicit bulk_load(bulk_setup<K, V> setup)
        : asio_flight(setup.deadline, setup.time), setup_(std::move(setup)) {}

    [[nodiscard]] const bulk_setup<K, V>& setup() const noexcept { return setup_; }

    void expect() noexcept { gathering_.expect(); }
    void depart() noexcept { start_if(gathering_.depart()); }
    void seal() noexcept { start_if(gathering_.seal()); }

    /// A member, expected before, needs the load; `waiter` is finished once it has ended. Its place among
    /// the answers; empty: nobody waits for this load any more, so it will not run.
    [[nodiscard]] std::optional<std::size_t> arrive(load_request<K, V> wanted, flight_waiter& waiter,
                                                    bool needs_place) {
        std::size_t index = 0;
        {
            const std::lock_guard lock(mutex_);
            index = requests_.size();
            requests_.push_back(std::move(wanted));
            needs_place_ = needs_place_ || needs_place;
        }
        const role as = index == 0                  ? setup_.kind.leaders_role()
                        : setup_.kind.is_detachable ? role::guest
                                                    : role::co_owner;
        if (join(waiter, as) != joined::yes) {
            depart();
            return std::nullopt;
        }
        start_if(gathering_.arrive());
        return index;
    }

    /// After the waiter was finished: a member's answer, once.
    [[nodiscard]] loaded<V> take(std::size_t index, flight_outcome ended_as) {
        if (ended_as != flight_outcome::result) {
            std::rethrow_exception(let_go(ended_as));
        }
        if (error_ != nullptr) {
            std::rethrow_exception(error_);
        }
        return std::move(answers_[index]);
    }

private:
    // Ends the flight however the load ends, even if its executor drops it.
    class running {
    public:
        explicit running(std::shared_ptr<bulk_load> of) : of_(std::move(of)) {}
        running(running&&) noexcept = default;
        running& operator=(running&&) = delete;
        ~running() {
            if (of_ != nullptr) {
                of_->end(
                    std::make_exception_ptr(error(errc::closed, "the load was dropped by its executor")));
            }
        }
        bulk_load* operator->() const noexcept { return of_.get(); }

        void end(std::exception_ptr why) noexcept {
            const auto ended = std::exchange(of_, nullptr);
            ended->end(std::move(why));
        }

    private:
        std::shared_ptr<bulk_load> of_;
    };

    void start_if(bool is_gathered) noexcept {
        if (!is_gathered || gathering_.arrived() == 0) {
            return;
        }
        running self(std::static_pointer_cast<bulk_load>(shared_from_this()));
        try {
            if (setup_.kind.is_coroutine) {
                start(run_async(std::move(self)));
            } else {
                boost::asio::post(setup_.plain_on,
                                  [held = std::move(self)]() mutable { run(std::move(held)); });
            }
        } catch (...) {  // NOLINT(bugprone-empty-catch): what runs it, wherever it was moved to, ends it
        }
    }

    static void run(running self) noexcept {
        std::exception_ptr failure;
        try {
            self->check_begins();
            load_gate::place place;
            if (self->needs_place() && !(place = self->setup_.gate->try_enter())) {
                count(self->setup_.counters->loads_held_up);
                place = self->setup_.gate->enter(self->deadline());
                if (!place) {
                    throw error(errc::timeout, "waiting for a turn to load");
                }
            }
            const loading_scope scope(*self.operator->());
            load_context context(*self.operator->());
            self->keep(self->setup_.loader->run(self->take_requests(), context));
        } catch (...) {
            failure = std::current_exception();
        }
        self.end(std::move(failure));
    }

    static boost::asio::awaitable<void> run_async(running self) {
        std::exception_ptr failure;
        try {
            self->check_begins();
            load_gate::place place;
            if (self->needs_place() && !(place = self->setup_.gate->try_enter())) {
                count(self->setup_.counters->loads_held_up);
                place = co_await self->setup_.gate->async_enter(self->setup_.time, self->deadline());
            }
            load_context context(*self.operator->());
            auto wanted = self->take_requests();
            auto answers = co_await self->setup_.loader->run_async(std::move(wanted), context);
            self->keep(std::move(answers));
        } catch (...) {
            failure = std::current_exception();
        }
        self.end(std::move(failure));
    }

    void check_begins() {
        if (!begin()) {
            throw error(errc::cancelled, "nobody waits for the load any more");
        }
    }

    [[nodiscard]] bool needs_place() const noexcept { return needs_place_ && !setup_.is_nested; }

    // Gathered: nobody adds to them any more.
    [[nodiscard]] std::vector<load_request<K, V>> take_requests() {
        asked_ = requests_.size();
        return std::move(requests_);
    }

    void keep(std::vector<loaded<V>> answers) {
        if (answers.size() != asked_) {
            throw error(errc::invalid_data, "a loader answered a request for " + std::to_string(asked_) +
                                                " keys with " + std::to_string(answers.size()) + " results");
        }
        answers_ = std::move(answers);
    }

    void end(std::exception_ptr why) noexcept {
        error_ = std::move(why);
        finish(error_ == nullptr);
    }

    const bulk_setup<K, V> setup_;
    gathering gathering_;
    std::mutex mutex_;  // guards the two below until all are gathered
    std::vector<load_request<K, V>> requests_;
    bool needs_place_ = false;
    // Written by who runs the load, before `finish`.
    std::size_t asked_ = 0;
    std::vector<loaded<V>> answers_;
    std::exception_ptr error_;
};

/// The flight of one key of a bulk call.
template <class K, class V>
class bulk_member final : public load_flight<K, V> {
public:
    bulk_member(K the_key, std::shared_ptr<bulk_load<K, V>> with, flight_setup setup)
        : load_flight<K, V>(std::move(the_key), std::move(setup)), with_(std::move(with)) {}

    /// The one who made it leads: the load waits for it. One that is never led ends without having taken
    /// part.
    void take_part() noexcept {
        with_->expect();
        is_decided_.store(false);
    }

    /// Members run as coroutines, whatever their loader is.
    [[nodiscard]] loaded<V> run(load_context& /*context*/) override {
        throw levee::error(errc::load_failed, "a member of a bulk load was run as a plain load");
    }

    [[nodiscard]] boost::asio::awaitable<loaded<V>> run_async(load_context& /*context*/) override {
        // Stopping comes as news: a loader that must have ended first is waited for all the same.
        co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
        std::shared_ptr<bulk_load<K, V>> into = with_;
        std::optional<std::size_t> place;
        if (!is_decided_.exchange(true)) {
            place = arrive(*into);
        }
        if (!place) {  // late: the others could not wait
            into = std::make_shared<bulk_load<K, V>>(into->setup());
            into->expect();
            into->seal();
            place = arrive(*into);
            if (!place) {
                throw levee::error(errc::cancelled, "nobody waits for the load any more");
            }
        }
        const wait_edge edge(this->shared_from_this(), into);
        bool has_left = false;
        while (!told_.load(std::memory_order_acquire)) {
            if (this->is_stopping() && !std::exchange(has_left, true)) {
                into->leave(waiter_, flight_outcome::cancelled);
                continue;
            }
            co_await this->async_wait_for_news(into->setup().members_have_timers);
        }
        co_return into->take(*place, ended_as_);
    }

private:
    // Keeps the flight while the bulk load knows of it.
    struct member_waiter final : flight_waiter {
        void finish(flight_outcome outcome) noexcept override {
            const std::shared_ptr<bulk_member> self = std::move(of);
            self->ended_as_ = outcome;
            self->told_.store(true, std::memory_order_release);  // pairs with run_async
            self->wake();
        }
        std::shared_ptr<bulk_member> of{};
    };

    [[nodiscard]] std::optional<std::size_t> arrive(bulk_load<K, V>& at) {
        waiter_.of = std::static_pointer_cast<bulk_member>(this->shared_from_this());
        auto place = at.arrive(this->request(), waiter_, is_unleased_);
        if (!place) {
            waiter_.of.reset();
        }
        return place;
    }

    void depart() noexcept {
        if (!is_decided_.exchange(true)) {
            with_->depart();
        }
    }

    void on_waiting() noexcept override { depart(); }
    [[nodiscard]] bool shares_place() noexcept override {
        is_unleased_ = true;
        return true;
    }
    void on_ended() noexcept override {
        load_flight<K, V>::on_ended();
        depart();
    }

    const std::shared_ptr<bulk_load<K, V>> with_;
    std::atomic<bool> is_decided_{true};  // whether it takes part: false while that is to be seen
    bool is_unleased_ = false;
    member_waiter waiter_{};
    flight_outcome ended_as_ = flight_outcome::result;  // before told_
    std::atomic<bool> told_{false};
};

}  // namespace levee::cache_detail
