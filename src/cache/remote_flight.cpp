#include "levee/cache/detail/remote_flight.hpp"

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::cache_detail {

namespace asio = boost::asio;
using step = leased_load::step;

namespace {

constexpr duration first_poll = std::chrono::milliseconds(2);
constexpr duration longest_poll = std::chrono::milliseconds(50);

std::exception_ptr waited_in_vain() {
    return std::make_exception_ptr(error(errc::timeout, "waiting for another process' load"));
}

duration lasting(duration ttl) noexcept {
    return ttl == duration::zero() ? (duration::max)() : ttl;
}

duration sum(duration a, duration b) noexcept {
    return a > (duration::max)() - b ? (duration::max)() : a + b;
}

}  // namespace

remote_flight::remote_flight(flight_setup setup)
    : asio_flight(setup.deadline, setup.soft_deadline, setup.time),
      setup_(std::move(setup)),
      wake_up_(std::make_shared<wake_up>()) {
    epoch_ = setup_.trusted->epoch();
}

leased_load remote_flight::new_steps() const {
    return leased_load({.lease_wait = setup_.remote->options().lease_wait,
                        .poll_first = first_poll,
                        .poll_most = longest_poll,
                        .even_if_fresh = setup_.refreshes != 0},
                       setup_.time->now(), setup_.seed);
}

// A suspect value answers without a load when the remote level cannot be asked.
bool remote_flight::stands_in(time_point now) const noexcept {
    return reserve_ && reserve_->is_suspect && now < reserve_->suspect_until;
}

step remote_flight::decide(leased_load& steps, const std::optional<lease_answer>& answer) {
    const time_point now = setup_.time->now();
    if (!answer) {
        return steps.on_no_answer(stands_in(now));
    }
    bool is_usable = false;
    if (answer->entry) {
        const remote_entry& found = *answer->entry;
        const bool is_fresh = found.fresh_left > duration::zero();
        if (setup_.remote->is_valid(found, setup_.key_text)) {
            is_usable = take(found, !is_fresh);
            if (!is_usable) {
                count(setup_.counters->remote_foreign);
            } else if (is_fresh) {
                times_ = {.fresh_left = found.fresh_left,
                          .stale_left = found.stale_left,
                          .stamp = found.stamp,
                          .version = found.version,
                          .tags = found.tags};
            } else {
                is_remote_reserve_ = true;
                reserve_terms terms;
                terms.stale_until = after(now, found.stale_left);
                terms.if_error_until = (std::min)(
                    terms.stale_until, after(after(now, found.fresh_left), setup_.options.stale_if_error));
                offer_reserve(terms);
                times_.stale_left = found.stale_left;
                times_.stamp = found.stamp;
                times_.version = found.version;
                times_.tags = found.tags;
            }
        }
    }
    const bool has_reserve = reserve_ && now < reserve_->stale_until;
    const step next = steps.on_answer(*answer, is_usable, has_reserve, now);
    if (next == step::use_entry) {
        count(setup_.counters->remote_hits);
    } else if (next == step::load) {
        count(setup_.counters->remote_misses);
        count(setup_.counters->leases_won);
    } else if (next == step::wait && !std::exchange(has_counted_wait_, true)) {
        count(setup_.counters->leases_waited);
    }
    return next;
}

void remote_flight::begin_load() noexcept {
    count(setup_.counters->loads);
    if (setup_.refreshes != 0) {
        count(setup_.counters->refreshes);
    }
    load_began_ = setup_.time != nullptr ? setup_.time->now() : clock::precise().now();
}

// What the loader brought gets its lives; the entry is what the remote level is to be filled with.
remote_flight::filling remote_flight::end_load(remote_entry& entry) {
    const time_point now = setup_.time != nullptr ? setup_.time->now() : clock::precise().now();
    times_.cost = now - load_began_;
    if (setup_.remote != nullptr && setup_.remote->holes().early_stamp) {
        times_.stamp = setup_.remote->stamp();
    }
    loaded_terms brought = terms();
    if (!brought.is_usable) {
        return filling::release;
    }
    const entry_options& options = setup_.options;
    if (brought.is_negative) {
        times_.fresh_left = options.negative_ttl;
        times_.stale_left = options.negative_ttl;
        may_be_kept_ = options.negative_ttl > duration::zero();
    } else {
        const duration ttl = brought.ttl.value_or(options.ttl);
        times_.fresh_left = lasting(life_of(ttl, options.ttl_jitter, duration::zero(), setup_.seed));
        times_.stale_left = sum(times_.fresh_left, reserve_life(options));
        may_be_kept_ = ttl >= duration::zero();
    }
    times_.version = brought.version;
    times_.tags = options.tags;
    for (std::string& tag : brought.tags) {
        if (std::find(times_.tags.begin(), times_.tags.end(), tag) == times_.tags.end()) {
            times_.tags.push_back(std::move(tag));
        }
    }
    if (!uses_store() || !may_be_kept_) {
        return filling::release;
    }
    entry.is_negative = brought.is_negative;
    if (!brought.is_negative) {
        encode(entry.payload);
        if (entry.payload.size() > setup_.remote->options().max_value_bytes) {
            count(setup_.counters->remote_oversized);
            return filling::release;
        }
    }
    entry.fresh_left = times_.fresh_left;
    entry.stale_left = times_.stale_left;
    entry.version = times_.version;
    entry.stamp = times_.stamp;
    entry.tags = times_.tags;
    return filling::fill;
}

// No answer: the outcome is not known, and the value is no worse than one loaded without a lease.
void remote_flight::judge_fill(const std::optional<bool>& answer) {
    if (answer && !*answer) {
        count(setup_.counters->fills_refused);
        may_be_kept_ = setup_.remote->holes().token_check;
    }
}

void remote_flight::take_reserve(cache_counters::counter& why) noexcept {
    use_reserve();
    is_reserve_ = true;
    count(why);
}

bool remote_flight::fall_back(time_point now) noexcept {
    if (!reserve_ || is_stopping()) {
        return false;
    }
    if (reserve_->is_suspect ? now < reserve_->suspect_until : now < reserve_->if_error_until) {
        take_reserve(reserve_->is_suspect ? setup_.counters->suspects_served
                                          : setup_.counters->stale_if_error);
        return true;
    }
    return false;
}

void remote_flight::obtain(load_context& context) {
    std::uint64_t token = 0;
    load_gate::place place;
    times_.stamp = setup_.trusted->marks().count();
    if (uses_store()) {
        leased_load steps = new_steps();
        for (step next = step::ask; next != step::load;) {
            if (is_stopping()) {
                throw error(errc::cancelled, "nobody waits for the load any more");
            }
            if (next == step::wait) {
                wake_up_->wait_until((std::min)(after(clock::precise().now(), steps.wait_for()), deadline()));
            }
            next = decide(steps, setup_.remote->lease(setup_.remote_name, steps.even_if_fresh()));
            if (next == step::time_out) {
                std::rethrow_exception(waited_in_vain());
            }
            if (next == step::use_entry || next == step::use_reserve) {
                if (steps.token() != 0) {
                    setup_.remote->release(setup_.remote_name, steps.token());
                }
                if (next == step::use_reserve) {
                    take_reserve(reserve_->is_suspect ? setup_.counters->suspects_served
                                                      : setup_.counters->stale_on_timeout);
                }
                return;
            }
        }
        token = steps.token();
        if (token == 0) {
            count(setup_.counters->unleased_loads);
            if (!setup_.is_nested && !(place = setup_.gate->try_enter())) {
                count(setup_.counters->loads_held_up);
                place = setup_.gate->enter(deadline());
                if (!place) {
                    throw error(errc::timeout, "waiting for a turn to load");
                }
            }
        }
        times_.stamp = setup_.remote->stamp();
    }
    begin_load();
    const bool beats = token != 0 && setup_.time != nullptr;
    if (beats) {
        start_aside(heartbeat(std::static_pointer_cast<remote_flight>(shared_from_this()), token));
    }
    std::exception_ptr failure;
    remote_entry entry;
    filling what = filling::release;
    try {
        load(context);
        what = end_load(entry);
    } catch (...) {
        failure = std::current_exception();
    }
    if (beats) {
        stop_aside();
    }
    if (token != 0) {
        if (what == filling::fill && failure == nullptr) {
            const auto filled = setup_.remote->fill(setup_.remote_name, token, std::move(entry));
            judge_fill(filled);
            if (filled.value_or(false) && times_.cost >= first_poll) {
                static_cast<void>(setup_.remote->announce(change::filled, setup_.key_text));
            }
        } else {
            setup_.remote->release(setup_.remote_name, token);
        }
    }
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
}

asio::awaitable<void> remote_flight::async_obtain(load_context& context) {
    times_.stamp = setup_.trusted->marks().count();
    if (!uses_store()) {
        co_await load_leased(context, 0);
        co_return;
    }
    leased_load steps = new_steps();
    for (step next = step::ask; next != step::load;) {
        if (is_stopping()) {
            throw error(errc::cancelled, "nobody waits for the load any more");
        }
        if (next == step::wait) {
            on_waiting();
            const time_point until = after(setup_.time->now(), steps.wait_for());
            co_await wake_up::async_wait_until(wake_up_, setup_.time, until);
        }
        const auto answer = co_await setup_.remote->async_lease(setup_.remote_name, steps.even_if_fresh());
        next = decide(steps, answer);
        if (next == step::time_out) {
            std::rethrow_exception(waited_in_vain());
        }
        if (next == step::use_entry || next == step::use_reserve) {
            if (next == step::use_reserve) {
                take_reserve(reserve_->is_suspect ? setup_.counters->suspects_served
                                                  : setup_.counters->stale_on_timeout);
            }
            if (steps.token() != 0) {
                co_await setup_.remote->async_release(setup_.remote_name, steps.token());
            }
            co_return;
        }
    }
    times_.stamp = setup_.remote->stamp();
    if (steps.token() == 0) {
        co_await load_alone(context);
    } else {
        co_await load_leased(context, steps.token());
    }
}

// Without the remote level, which does not answer: so many at a time, and nothing is filled.
asio::awaitable<void> remote_flight::load_alone(load_context& context) {
    count(setup_.counters->unleased_loads);
    load_gate::place place;
    if (!shares_place() && !setup_.is_nested && !(place = setup_.gate->try_enter())) {
        count(setup_.counters->loads_held_up);
        place = co_await setup_.gate->async_enter(setup_.time, deadline());
    }
    co_await load_leased(context, 0);
}

asio::awaitable<void> remote_flight::load_leased(load_context& context, std::uint64_t token) {
    begin_load();
    if (token != 0) {
        start_aside(heartbeat(std::static_pointer_cast<remote_flight>(shared_from_this()), token));
    }
    std::exception_ptr failure;
    remote_entry entry;
    filling what = filling::release;
    try {
        co_await async_load(context);
        what = end_load(entry);
    } catch (...) {
        failure = std::current_exception();
    }
    if (token != 0) {
        stop_aside();
        // Also when nobody waits any more: the lease would keep other processes waiting.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        if (what == filling::fill && failure == nullptr) {
            remote_entry spare = setup_.remote->holes().token_check ? entry : remote_entry{};
            const auto filled =
                co_await setup_.remote->async_fill(setup_.remote_name, token, std::move(entry));
            judge_fill(filled);
            if (may_be_kept_ && !filled.value_or(true)) {  // a hole
                co_await setup_.remote->async_put(setup_.remote_name, std::move(spare));
            }
            if (filled.value_or(false) && times_.cost >= first_poll) {
                co_await setup_.remote->async_announce(change::filled, setup_.key_text);
            }
        } else {
            co_await setup_.remote->async_release(setup_.remote_name, token);
        }
    }
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
}

// The timer is for a context that goes away before the news come: it owns the timer, and so the coroutine.
asio::awaitable<void> remote_flight::async_wait_for_news(bool by_timer) {
    if (by_timer) {
        const time_point until = after(setup_.time->now(), std::chrono::hours(1));
        co_await wake_up::async_wait_until(wake_up_, setup_.time, until);
    } else {
        co_await wake_up::async_wait(wake_up_);
    }
}

asio::awaitable<void> remote_flight::heartbeat(std::shared_ptr<remote_flight> self, std::uint64_t token) {
    const duration pause = self->setup_.remote->options().lease / 3;
    for (;;) {
        co_await self->setup_.time->sleep_until(after(self->setup_.time->now(), pause));
        const auto stands = co_await self->setup_.remote->async_extend(self->setup_.remote_name, token);
        if (stands && !*stands) {
            co_return;  // void: the fill will say so
        }
    }
}

}  // namespace levee::cache_detail
