#include "levee/testing/chaos_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <mutex>
#include <type_traits>
#include <utility>

#include "levee/core/random.hpp"
#include "testing/chaos_check.hpp"

namespace levee::testing {

namespace asio = boost::asio;
using namespace testing_detail;

namespace {

void check(const chaos_store_options& options) {
    const std::string type = "chaos_store_options::";
    check_not_negative(type + "call_delay", options.call_delay);
    check_not_negative(type + "answer_delay", options.answer_delay);
    check_above_zero(type + "late_delay", options.late_delay);
    check_share(type + "refuse", options.refuse);
    check_share(type + "lose_answer", options.lose_answer);
    check_share(type + "late", options.late);
    check_share(type + "silence", options.silence);
    check_share(type + "resize", options.resize);
    check_share(type + "garble", options.garble);
    check_share(type + "lose", options.lose);
    check_sum(type + "refuse, lose_answer, late and silence",
              options.refuse + options.lose_answer + options.late + options.silence);
    if (options.lose > 0.0 && !options.lose_data) {
        refuse(type + "lose_data", "empty", "there when `lose` is above 0");
    }
}

enum class fault : std::uint8_t { none, refuse, lose_answer, late, silence_before, silence_after };

// All that happens to a call is drawn when it begins, always with as many draws: so a fault more or less
// does not change those of later calls.
struct fate {
    fault what = fault::none;
    duration call_delay{}, answer_delay{}, late_delay{};
    bool loses = false;
    std::uint64_t seed_of_payloads = 0;
};

void resize(bytes& payload, xoshiro256& random) {
    if (!payload.empty() && uniform_below(random, 2) == 0) {
        payload.resize(static_cast<std::size_t>(uniform_below(random, payload.size())));
        return;
    }
    for (std::uint64_t more = 1 + uniform_below(random, 9); more > 0; --more) {
        payload.push_back(static_cast<std::byte>(random()));
    }
}

void garble(bytes& payload, xoshiro256& random) {
    if (!payload.empty()) {
        payload[static_cast<std::size_t>(uniform_below(random, payload.size()))] ^=
            static_cast<std::byte>(1U << uniform_below(random, 8));
    }
}

}  // namespace

struct chaos_store::state {
    state(std::shared_ptr<remote_store> to, std::shared_ptr<async::scheduler> waits,
          const chaos_store_options& given)
        : inner(std::move(to)), time(std::move(waits)), options(given), random(given.seed) {}

    const std::shared_ptr<remote_store> inner;
    const std::shared_ptr<async::scheduler> time;
    mutable std::mutex mutex{};  // guards all below
    chaos_store_options options;
    xoshiro256 random;
    chaos_link link = chaos_link::works;
    chaos_store_counts counts{};

    [[nodiscard]] fate draw() {
        const std::lock_guard lock(mutex);
        fate drawn;
        const auto up_to = [this](duration most) {
            return duration(static_cast<duration::rep>(
                uniform_below(random, static_cast<std::uint64_t>(most.count()) + 1)));
        };
        drawn.call_delay = up_to(options.call_delay);
        drawn.answer_delay = up_to(options.answer_delay);
        drawn.late_delay = up_to(options.late_delay);
        drawn.loses = uniform_unit(random) < options.lose;
        drawn.seed_of_payloads = random();
        const bool is_done = uniform_below(random, 2) == 0;
        double at = uniform_unit(random);
        const auto falls_in = [&at](double share) { return (at -= share) < 0.0; };
        ++counts.calls;
        counts.losses += drawn.loses ? 1 : 0;
        if (falls_in(options.refuse)) {
            ++counts.refused;
            drawn.what = fault::refuse;
        } else if (falls_in(options.lose_answer)) {
            ++counts.lost_answers;
            drawn.what = fault::lose_answer;
        } else if (falls_in(options.late)) {
            ++counts.late;
            drawn.what = fault::late;
        } else if (falls_in(options.silence)) {
            ++counts.silent;
            drawn.what = is_done ? fault::silence_after : fault::silence_before;
        }
        return drawn;
    }

    [[nodiscard]] asio::awaitable<void> pass(duration delay) {
        if (delay > duration::zero()) {
            co_await time->sleep_until(after(time->now(), delay));
        }
    }

    [[nodiscard]] asio::awaitable<void> be_silent() {
        co_await time->sleep_until((time_point::max)());  // whose end nobody sees: until cancelled
    }

    [[nodiscard]] asio::awaitable<void> cross() {
        chaos_link now;
        {
            const std::lock_guard lock(mutex);
            now = link;
            counts.refused += now == chaos_link::refuses ? 1 : 0;
            counts.silent += now == chaos_link::is_silent ? 1 : 0;
        }
        if (now == chaos_link::refuses) {
            throw error(errc::unavailable, "chaos: the link is cut");
        }
        if (now == chaos_link::is_silent) {
            co_await be_silent();
        }
    }

    [[nodiscard]] bool is_cut() const {
        const std::lock_guard lock(mutex);
        return link != chaos_link::works;
    }

    void lose_if(bool loses) {
        if (!loses) {
            return;
        }
        std::function<void()> lose;
        {
            const std::lock_guard lock(mutex);
            lose = options.lose_data;
        }
        if (lose) {
            lose();
        }
    }

    // What comes back. Only entries can be spoilt.
    template <class T>
    void spoil(T& /*answer*/, xoshiro256& /*random*/) {}
    void spoil(remote_entry& entry, xoshiro256& random_of_call) {
        const double first = uniform_unit(random_of_call);
        const double second = uniform_unit(random_of_call);
        if (entry.is_negative) {
            return;
        }
        bool resizes = false;
        bool garbles = false;
        {
            const std::lock_guard lock(mutex);
            resizes = first < options.resize;
            garbles = second < options.garble && !entry.payload.empty();
            counts.resized += resizes ? 1 : 0;
            counts.garbled += garbles ? 1 : 0;
        }
        if (garbles) {
            garble(entry.payload, random_of_call);
        }
        if (resizes) {
            resize(entry.payload, random_of_call);
        }
    }
    void spoil(std::optional<remote_entry>& entry, xoshiro256& random_of_call) {
        if (entry) {
            spoil(*entry, random_of_call);
        }
    }
    void spoil(std::vector<std::optional<remote_entry>>& entries, xoshiro256& random_of_call) {
        for (auto& entry : entries) {
            spoil(entry, random_of_call);
        }
    }
    void spoil(lease_answer& answer, xoshiro256& random_of_call) { spoil(answer.entry, random_of_call); }

    template <class Call>
    static asio::awaitable<void> do_late(std::shared_ptr<state> self, Call call, duration delay) {
        co_await self->pass(delay);
        if (self->is_cut()) {
            co_return;
        }
        try {
            auto work = call(*self->inner);
            static_cast<void>(co_await std::move(work));
        } catch (const std::exception&) {
            // Nobody waits for it any more.
        }
    }

    template <class T, class Call>
    static asio::awaitable<T> go(std::shared_ptr<state> self, Call call, fate drawn) {
        co_await self->pass(drawn.call_delay);
        co_await self->cross();
        self->lose_if(drawn.loses);
        if (drawn.what == fault::silence_before) {
            co_await self->be_silent();
        }
        if (drawn.what == fault::refuse) {
            co_await self->pass(drawn.answer_delay);
            throw error(errc::unavailable, "chaos: refused");
        }
        auto work = call(*self->inner);
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            co_await self->come_back(drawn);
        } else {
            T answer = co_await std::move(work);
            co_await self->come_back(drawn);
            xoshiro256 random_of_call(drawn.seed_of_payloads);
            self->spoil(answer, random_of_call);
            co_return answer;
        }
    }

    [[nodiscard]] asio::awaitable<void> come_back(const fate& drawn) {
        if (drawn.what == fault::silence_after) {
            co_await be_silent();
        }
        co_await pass(drawn.answer_delay);
        co_await cross();
        if (drawn.what == fault::lose_answer) {
            throw error(errc::timeout, "chaos: the answer was lost");
        }
    }

    template <class T, class Call>
    static asio::awaitable<T> run(std::shared_ptr<state> self, Call call) {
        try {
            const fate drawn = self->draw();
            if (drawn.what == fault::late) {
                asio::co_spawn(self->time->executor(), do_late(self, std::move(call), drawn.late_delay),
                               asio::detached);
                co_await self->pass(drawn.answer_delay);
                throw error(errc::timeout, "chaos: the store was too late");
            }
            auto work = go<T>(self, std::move(call), drawn);
            if constexpr (std::is_void_v<T>) {
                co_await std::move(work);
                co_return;
            } else {
                T answer = co_await std::move(work);
                co_return answer;
            }
        } catch (const boost::system::system_error& e) {
            if (e.code() != asio::error::operation_aborted) {
                throw;
            }
        }
        throw error(
            errc::cancelled);  // Asio's own word for it, of a call that was cancelled between two waits
    }
};

chaos_store::chaos_store(std::shared_ptr<remote_store> inner, std::shared_ptr<async::scheduler> time,
                         const chaos_store_options& options) {
    check(options);
    if (inner == nullptr || time == nullptr) {
        refuse("chaos_store's inner store or scheduler", "null", "there");
    }
    state_ = std::make_shared<state>(std::move(inner), std::move(time), options);
}

chaos_store::~chaos_store() = default;

void chaos_store::set_options(const chaos_store_options& options) {
    check(options);
    const std::lock_guard lock(state_->mutex);
    state_->options = options;
}

void chaos_store::set_link(chaos_link link) {
    const std::lock_guard lock(state_->mutex);
    state_->link = link;
}

chaos_store_counts chaos_store::counts() const {
    const std::lock_guard lock(state_->mutex);
    return state_->counts;
}

remote_capabilities chaos_store::capabilities() const {
    return state_->inner->capabilities();
}

// Each call is a function of the store, so that it can be done later, or never.

remote_store::awaitable<std::vector<std::optional<remote_entry>>> chaos_store::async_get(
    std::vector<std::string> keys) {
    auto call = [keys = std::move(keys)](remote_store& to) mutable { return to.async_get(std::move(keys)); };
    return state::run<std::vector<std::optional<remote_entry>>>(state_, std::move(call));
}

remote_store::awaitable<lease_answer> chaos_store::async_get_or_lease(lease_request request) {
    auto call = [request = std::move(request)](remote_store& to) mutable {
        return to.async_get_or_lease(std::move(request));
    };
    return state::run<lease_answer>(state_, std::move(call));
}

remote_store::awaitable<bool> chaos_store::async_fill(std::string key, std::uint64_t token,
                                                      remote_entry entry) {
    auto call = [key = std::move(key), token, entry = std::move(entry)](remote_store& to) mutable {
        return to.async_fill(std::move(key), token, std::move(entry));
    };
    return state::run<bool>(state_, std::move(call));
}

remote_store::awaitable<bool> chaos_store::async_extend(std::string key, std::uint64_t token,
                                                        duration lease) {
    auto call = [key = std::move(key), token, lease](remote_store& to) mutable {
        return to.async_extend(std::move(key), token, lease);
    };
    return state::run<bool>(state_, std::move(call));
}

remote_store::awaitable<void> chaos_store::async_release(std::string key, std::uint64_t token) {
    auto call = [key = std::move(key), token](remote_store& to) mutable {
        return to.async_release(std::move(key), token);
    };
    return state::run<void>(state_, std::move(call));
}

remote_store::awaitable<void> chaos_store::async_put(std::string key, remote_entry entry) {
    auto call = [key = std::move(key), entry = std::move(entry)](remote_store& to) mutable {
        return to.async_put(std::move(key), std::move(entry));
    };
    return state::run<void>(state_, std::move(call));
}

remote_store::awaitable<bool> chaos_store::async_put_if_newer(std::string key, remote_entry entry) {
    auto call = [key = std::move(key), entry = std::move(entry)](remote_store& to) mutable {
        return to.async_put_if_newer(std::move(key), std::move(entry));
    };
    return state::run<bool>(state_, std::move(call));
}

remote_store::awaitable<std::uint64_t> chaos_store::async_begin_write(std::string key, duration lease) {
    auto call = [key = std::move(key), lease](remote_store& to) mutable {
        return to.async_begin_write(std::move(key), lease);
    };
    return state::run<std::uint64_t>(state_, std::move(call));
}

remote_store::awaitable<void> chaos_store::async_erase(std::vector<std::string> keys) {
    auto call = [keys = std::move(keys)](remote_store& to) mutable {
        return to.async_erase(std::move(keys));
    };
    return state::run<void>(state_, std::move(call));
}

remote_store::awaitable<void> chaos_store::async_expire(std::string key) {
    auto call = [key = std::move(key)](remote_store& to) mutable { return to.async_expire(std::move(key)); };
    return state::run<void>(state_, std::move(call));
}

remote_store::awaitable<bool> chaos_store::async_touch(std::string key, duration fresh_left,
                                                       duration stale_left) {
    auto call = [key = std::move(key), fresh_left, stale_left](remote_store& to) mutable {
        return to.async_touch(std::move(key), fresh_left, stale_left);
    };
    return state::run<bool>(state_, std::move(call));
}

remote_store::awaitable<remote_marks> chaos_store::async_marks(std::string name_space) {
    auto call = [name_space = std::move(name_space)](remote_store& to) mutable {
        return to.async_marks(std::move(name_space));
    };
    return state::run<remote_marks>(state_, std::move(call));
}

remote_store::awaitable<std::uint64_t> chaos_store::async_mark(std::string name_space, std::string what) {
    auto call = [name_space = std::move(name_space), what = std::move(what)](remote_store& to) mutable {
        return to.async_mark(std::move(name_space), std::move(what));
    };
    return state::run<std::uint64_t>(state_, std::move(call));
}

}  // namespace levee::testing
