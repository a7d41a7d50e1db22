/// Many keys asked for at once, with what loads those that are missing.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "levee/cache/detail/async_call.hpp"
#include "levee/cache/detail/bulk_load.hpp"
#include "levee/cache/detail/bulk_look.hpp"
#include "levee/cache/detail/kept_deadlines.hpp"

namespace levee::cache_detail {

/// One call. First L1 is looked into, then L2, with one question; what is still missing gets a flight each,
/// or joins one. The flights that this call leads share one call of the loader (`bulk_load`).
///
/// Thread safety: unsafe until the loads have begun, which is on the caller's executor; then each part
/// belongs to who completes it, and the last completes the call.
template <class Core>
class bulk_call : public std::enable_shared_from_this<bulk_call<Core>> {
public:
    using K = typename Core::key_type;
    using V = typename Core::mapped_type;
    using values = std::vector<std::optional<V>>;
    using completion = std::function<void(std::exception_ptr, values)>;
    using flight_ptr = typename Core::flight_ptr;

    bulk_call(std::shared_ptr<Core> core, std::vector<K> keys, const entry_options& lives,
              std::shared_ptr<bulk_loader<K, V>> loader, loader_kind kind)
        : core_(std::move(core)),
          lives_(lives),
          loader_(std::move(loader)),
          kind_(kind),
          look_(*core_, std::move(keys)),
          parts_(look_.keys().size()) {
        validate(lives_);
    }

    /// Blocks: until all have their values. A plain loader runs on this thread.
    [[nodiscard]] values run() {
        const auto& options = core_->options();
        const bool may_wait = !async::runs_on_this_thread(options.executor);
        look(may_wait);
        if (!may_wait && needs_loads()) {
            throw error(errc::would_deadlock, options.name + ": a blocking load on a thread of its executor");
        }
        if (look_.is_to_be_asked()) {
            hear(core_->remote()->get_many(look_.ask()));
        }
        if (!needs_loads()) {
            return result();
        }
        if (kind_.is_coroutine && !options.executor) {
            missing_executor(options.name, "executor", "a coroutine loader");
        }
        boost::asio::io_context here(1);
        std::exception_ptr failure;
        values brought;
        completed_ = [&](std::exception_ptr why, values all) {
            failure = std::move(why);
            brought = std::move(all);
        };
        executor_ = here.get_executor();
        outer_ = flight::current() != nullptr ? flight::current()->shared_from_this() : nullptr;
        keeps_deadlines_ = true;
        is_here_ = !kind_.is_coroutine && !may_leave_early();
        begin_loads();
        kept_.run(here);
        if (failure != nullptr) {
            std::rethrow_exception(failure);
        }
        return brought;
    }

    /// `handler` gets what `run` gives, on its own executor.
    template <class Handler>
    void start(Handler&& handler) {
        using handler_type = std::decay_t<Handler>;
        executor_ = boost::asio::get_associated_executor(handler);
        const auto slot = boost::asio::get_associated_cancellation_slot(handler);
        const auto held = std::make_shared<handler_type>(std::forward<Handler>(handler));
        completed_ = [held](std::exception_ptr why, values all) {
            auto own = std::move(*held);
            std::move(own)(std::move(why), std::move(all));
        };
        work_.emplace(boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked));
        signals_ = std::vector<boost::asio::cancellation_signal>(parts_.size());
        slot_ = slot;
        if (slot_.is_connected()) {
            slot_.assign([weak = this->weak_from_this()](boost::asio::cancellation_type type) {
                if (const auto self = weak.lock(); self && type != boost::asio::cancellation_type::none) {
                    self->cancel();
                }
            });
        }
        const auto self = this->shared_from_this();
        const auto go_on = [self](std::exception_ptr why) {
            boost::asio::post(self->executor_, [self, why = std::move(why)] { self->load_rest(why); });
        };
        try {
            look(true);
            if (look_.is_to_be_asked()) {
                boost::asio::co_spawn(core_->options().executor, ask_remotely(self), go_on);
                return;
            }
            go_on(nullptr);
        } catch (...) {
            go_on(std::current_exception());
        }
    }

private:
    struct part {
        found<V> it{};
        std::optional<V> value{};
        std::exception_ptr error{};
        bool is_answered = false;
        bool is_due = false;  ///< Answered by what is to be loaded anew meanwhile.
    };

    /// Completes one part.
    struct part_handler {
        using executor_type = boost::asio::any_io_executor;
        using cancellation_slot_type = boost::asio::cancellation_slot;

        std::shared_ptr<bulk_call> call;
        std::size_t index;

        [[nodiscard]] executor_type get_executor() const noexcept { return call->executor_; }
        [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
            return call->signals_.empty() ? cancellation_slot_type() : call->signals_[index].slot();
        }
        void operator()(std::exception_ptr why, std::optional<V> value) {
            call->parts_[index].error = std::move(why);
            call->parts_[index].value = std::move(value);
            call->done();
        }
    };

    /// As `on_executors`: who leads takes part in the bulk load, as a coroutine.
    struct members_driver {
        bulk_call* call;

        void lead(const std::shared_ptr<Core>& core, const flight_ptr& flight) const {
            call->lead(core, flight);
        }
        template <class>
        void follow(const flight_ptr& flight) const {
            call->watch(flight);
        }
    };

    /// Makes the flight for one key, should one be needed.
    struct member_maker {
        bulk_call& call;
        std::size_t index;

        flight_ptr operator()() const {
            const K& key = call.look_.keys()[index];
            return std::make_shared<bulk_member<K, V>>(
                key, call.load_,
                call.core_->set_up(key, call.lives_, replacing(call.parts_[index].it, false),
                                   call.outer_ != nullptr));
        }
    };

    void look(bool may_wait) {
        const bool goes_on = kind_.runs_in_background(core_->options());
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            part& p = parts_[i];
            core_->look(look_.keys()[i], lives_, p.it);
            if (!p.it.is_hit()) {
                look_.leave_open(i);
                continue;
            }
            const bool is_calm = p.it.state == freshness::fresh || p.it.state == freshness::back_off;
            p.is_due = !is_calm && goes_on;
            p.is_answered =
                is_calm || goes_on || !may_wait || core_->flights().find(look_.keys()[i]) != nullptr;
            if (p.is_answered) {
                p.value = p.it.value;
            }
        }
    }

    void hear(std::optional<std::vector<std::optional<remote_entry>>> answers) {
        look_.take(std::move(answers), [this](std::size_t i, lookup_result<V>&& result) {
            if (result.state == entry_state::fresh || result.state == entry_state::negative) {
                parts_[i].value = std::move(result.value);
                parts_[i].is_answered = true;
            }
        });
    }

    static boost::asio::awaitable<void> ask_remotely(std::shared_ptr<bulk_call> self) {
        auto names = self->look_.ask();
        auto answers = co_await self->core_->remote()->async_get_many(std::move(names));
        self->hear(std::move(answers));
    }

    [[nodiscard]] bool needs_loads() const noexcept {
        return std::any_of(parts_.begin(), parts_.end(),
                           [](const part& p) { return !p.is_answered || p.is_due; });
    }

    /// A blocking caller is not to be kept by a load that he can do without.
    [[nodiscard]] bool may_leave_early() const noexcept {
        if (!kind_.runs_in_background(core_->options())) {
            return false;
        }
        const bool has_soft_timeout = lives_.soft_timeout > duration::zero();
        return std::any_of(parts_.begin(), parts_.end(), [=](const part& p) {
            return p.is_due || (has_soft_timeout && !p.is_answered && p.it.value);
        });
    }

    void load_rest(const std::exception_ptr& why) {
        try {
            if (why != nullptr) {
                std::rethrow_exception(why);
            }
            if (needs_loads()) {
                if (is_cancelled_) {
                    throw error(errc::cancelled);
                }
                check_executors(core_->options(), kind_);
                begin_loads();
                return;
            }
        } catch (...) {
            complete(std::current_exception(), {});
            return;
        }
        done();
    }

    /// From here on the parts complete by themselves.
    void begin_loads() {
        const auto self = this->shared_from_this();
        const auto& options = core_->options();
        const time_point start = options.scheduler ? options.scheduler->now() : clock::precise().now();
        bulk_setup<K, V> setup;
        setup.loader = loader_;
        setup.kind = kind_;
        setup.plain_on = is_here_ ? executor_ : options.blocking_executor;
        setup.members_have_timers = !is_here_;
        setup.time = options.scheduler;
        setup.counters = core_->counters_ptr();
        setup.gate = core_->gate();
        setup.deadline = after(start, lives_.load_timeout);
        setup.is_nested = outer_ != nullptr;
        load_ = std::make_shared<bulk_load<K, V>>(std::move(setup));
        const members_driver driver{this};
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            part& p = parts_[i];
            member_maker make{*this, i};
            if (!p.is_answered) {
                waiting_.fetch_add(1, std::memory_order_relaxed);
                load_async<Core, V>(core_, look_.keys()[i], kind_, outer_, make, driver, p.it,
                                    part_handler{self, i});
            } else if (p.is_due) {
                refresh_in_background(core_, look_.keys()[i], driver, make);
            }
        }
        load_->seal();
        done();
    }

    void lead(const std::shared_ptr<Core>& core, const flight_ptr& flight) {
        std::static_pointer_cast<bulk_member<K, V>>(flight)->take_part();  // made by a member_maker
        if (!is_here_) {
            if (keeps_deadlines_) {
                kept_.add(flight);
            }
            load_runner<Core>::start(core, flight, true);
            return;
        }
        load_runner<Core> runner(core, flight);
        watch(flight);
        try {
            boost::asio::co_spawn(executor_, load_runner<Core>::run_async(std::move(runner)),
                                  [](const std::exception_ptr& /*reported*/) {});
        } catch (
            ...) {  // NOLINT(bugprone-empty-catch): the runner, wherever it was moved to, ends the flight
        }
    }

    void watch(const flight_ptr& flight) {
        if (keeps_deadlines_) {
            kept_.add(flight);
        }
        if (core_->options().scheduler) {
            flight->watch_deadline();
        }
    }

    // On the handler's executor, as `load_rest`. Before the loads have begun nobody hears a signal.
    void cancel() {
        is_cancelled_ = true;
        for (auto& each : signals_) {
            each.emit(boost::asio::cancellation_type::terminal);
        }
    }

    void done() {
        if (waiting_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
            return;
        }
        values all;
        std::exception_ptr failure;
        try {
            all = result();
        } catch (...) {
            failure = std::current_exception();
        }
        complete(std::move(failure), std::move(all));
    }

    void complete(std::exception_ptr why, values all) {
        if (slot_.is_connected()) {
            slot_.clear();
        }
        auto completed = std::exchange(completed_, nullptr);
        work_.reset();
        completed(std::move(why), std::move(all));
    }

    /// The first key's failure stands for the call.
    [[nodiscard]] values result() {
        for (const std::size_t i : look_.keys().places()) {
            if (parts_[i].error != nullptr) {
                std::rethrow_exception(parts_[i].error);
            }
        }
        values of_distinct;
        of_distinct.reserve(parts_.size());
        for (part& p : parts_) {
            of_distinct.push_back(std::move(p.value));
        }
        return bulk_look<Core>::in_order(look_.keys(), of_distinct);
    }

    const std::shared_ptr<Core> core_;
    const entry_options lives_;
    const std::shared_ptr<bulk_loader<K, V>> loader_;
    const loader_kind kind_;
    bulk_look<Core> look_;
    std::vector<part> parts_;
    completion completed_{};
    boost::asio::any_io_executor executor_{};
    std::optional<boost::asio::any_io_executor> work_{};
    boost::asio::cancellation_slot slot_{};
    std::vector<boost::asio::cancellation_signal> signals_{};
    std::shared_ptr<flight> outer_{};
    std::shared_ptr<bulk_load<K, V>> load_{};
    kept_deadlines kept_{};
    bool keeps_deadlines_ = false;  // it blocks
    bool is_cancelled_ = false;
    bool is_here_ = false;                 // the flights that this call leads run on its own io_context
    std::atomic<std::size_t> waiting_{1};  // parts, and the call's own beginning
};

}  // namespace levee::cache_detail
