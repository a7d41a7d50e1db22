#include "levee/route/health_checker.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/core/random.hpp"
#include "route/probe_history.hpp"

namespace levee::route {
namespace {

namespace asio = boost::asio;

[[noreturn]] void refuse(const char* field, const std::string& value, const char* range) {
    throw std::invalid_argument(std::string("health_checker_options::") + field + " is " + value +
                                "; it must be " + range);
}

std::string text(duration value) {
    return std::to_string(value.count()) + " ns";
}

std::string text(double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", value);
    return digits;
}

}  // namespace

void validate(const health_checker_options& options) {
    if (options.interval <= duration::zero()) {
        refuse("interval", text(options.interval), "above zero");
    }
    if (!(options.jitter >= 0.0 && options.jitter < 1.0)) {  // written so that NaN is refused
        refuse("jitter", text(options.jitter), "in [0, 1)");
    }
    if (options.timeout <= duration::zero()) {
        refuse("timeout", text(options.timeout), "above zero");
    }
    if (options.rise == 0) {
        refuse("rise", "0", "at least 1");
    }
    if (options.fall == 0) {
        refuse("fall", "0", "at least 1");
    }
}

/// Everything but `endpoints_changed` and `stop` runs on the strand. Coroutines hold the core.
class health_checker::core final : public levee::detail::endpoint_listener,
                                   public std::enable_shared_from_this<core> {
public:
    core(endpoint_set endpoints, health_probe probe, health_checker_options options,
         std::shared_ptr<async::scheduler> time)
        : endpoints_(std::move(endpoints)),
          probe_(std::move(probe)),
          options_(std::move(options)),
          time_(std::move(time)),
          strand_(asio::make_strand(time_->executor())),
          random_(options_.seed != 0 ? options_.seed : std::uint64_t{std::random_device{}()} << 32 | 1) {}

    void begin() {
        endpoints_.subscribe(weak_from_this());
        endpoints_changed();
    }

    /// Called by the set, on any thread; and by our own `set_health`, which changes the set as well.
    void endpoints_changed() override {
        asio::post(strand_, [self = shared_from_this()] { self->follow_set(); });
    }

    void stop() {
        is_stopped_.store(true, std::memory_order_relaxed);
        asio::post(strand_, [self = shared_from_this()] { self->follow_set(); });
    }

private:
    /// One endpoint's probing. It ends itself once it is not wanted any more.
    struct watch {
        watch(const listed_endpoint& of, const health_checker_options& options)
            : data(of.data), history(of.is_healthy, options.rise, options.fall) {}

        std::shared_ptr<const endpoint> data;
        probe_history history;
        // A new one for each probe and each sleep: see `emit`.
        std::shared_ptr<asio::cancellation_signal> end_probe;
        std::shared_ptr<asio::cancellation_signal> end_sleep;
        std::exception_ptr error;  // of the last probe that ended
        bool is_probing = false;
        bool is_sleeping_for_probe = false;
        bool is_wanted = true;
    };

    void follow_set() {
        const auto list = endpoints_.snapshot();
        const bool is_stopped = is_stopped_.load(std::memory_order_relaxed);
        std::unordered_map<std::string, std::shared_ptr<watch>> kept;
        for (const listed_endpoint& each : list->endpoints) {
            if (is_stopped) {
                break;
            }
            auto node = watches_.extract(each.data->id);
            if (!node.empty()) {
                watch& known = *node.mapped();
                known.data = each.data;
                if (known.history.is_healthy() != each.is_healthy) {  // somebody else has decided
                    known.history = probe_history(each.is_healthy, options_.rise, options_.fall);
                }
                kept.insert(std::move(node));
                continue;
            }
            auto made = std::make_shared<watch>(each, options_);
            kept.emplace(each.data->id, made);
            asio::co_spawn(strand_, look_after(shared_from_this(), made), asio::detached);
        }
        const auto gone = std::exchange(watches_, std::move(kept));
        for (const auto& [id, each] : gone) {
            each->is_wanted = false;
            emit(each->end_probe);
            emit(each->end_sleep);
        }
    }

    /// The emission may be posted by Asio, and then refers to the signal: it is kept until then.
    void emit(const std::shared_ptr<asio::cancellation_signal>& signal) {
        if (signal != nullptr) {
            signal->emit(asio::cancellation_type::terminal);
            asio::post(strand_, [signal] {});
        }
    }

    static asio::awaitable<void> look_after(std::shared_ptr<core> self, std::shared_ptr<watch> on) {
        async::scheduler& time = *self->time_;
        const auto interval = static_cast<double>(self->options_.interval.count());
        time_point next =
            after(time.now(), duration(static_cast<duration::rep>(interval * uniform_unit(self->random_))));
        for (;;) {
            co_await sleep(self, on, next);
            if (!on->is_wanted) {
                co_return;
            }
            const time_point begun = time.now();
            const double spread = self->options_.jitter * (2.0 * uniform_unit(self->random_) - 1.0);
            next = after(begun, duration(static_cast<duration::rep>(interval * (1.0 + spread))));
            if (!on->is_probing) {
                on->is_probing = true;
                on->end_probe = std::make_shared<asio::cancellation_signal>();
                asio::co_spawn(self->strand_, probe_once(self, on),
                               asio::bind_cancellation_slot(on->end_probe->slot(),
                                                            [self, on](const std::exception_ptr& error) {
                                                                on->error = error;
                                                                on->is_probing = false;
                                                                if (on->is_sleeping_for_probe) {
                                                                    self->emit(on->end_sleep);
                                                                }
                                                            }));
                on->is_sleeping_for_probe = true;
                co_await sleep(self, on, after(begun, self->options_.timeout));
                on->is_sleeping_for_probe = false;
                if (!on->is_wanted) {
                    co_return;
                }
            }
            std::exception_ptr error = on->error;
            if (on->is_probing) {
                error = std::make_exception_ptr(levee::error(errc::timeout, "probing " + on->data->id));
                self->emit(on->end_probe);
            }
            self->conclude(*on, error, time.now() - begun);
        }
    }

    // A frame of its own holds the endpoint's copy that the probe is given.
    static asio::awaitable<void> probe_once(std::shared_ptr<core> self, std::shared_ptr<watch> on) {
        endpoint to = *on->data;
        auto probing = self->probe_(std::move(to));
        co_await std::move(probing);
    }

    // Until `until`, or until the probe has ended or this endpoint is not wanted any more.
    static asio::awaitable<void> sleep(std::shared_ptr<core> self, std::shared_ptr<watch> on,
                                       time_point until) {
        if (!on->is_wanted) {
            co_return;
        }
        on->end_sleep = std::make_shared<asio::cancellation_signal>();
        auto token = asio::bind_cancellation_slot(on->end_sleep->slot(), asio::as_tuple(asio::use_awaitable));
        auto sleeping = asio::co_spawn(self->strand_, self->time_->sleep_until(until), token);
        co_await std::move(sleeping);
    }

    void conclude(watch& on, const std::exception_ptr& error, duration took) {
        if (is_stopped_.load(std::memory_order_relaxed)) {
            return;
        }
        const std::shared_ptr<const endpoint> about = on.data;
        const bool has_changed = on.history.record(error == nullptr);
        const bool is_healthy = on.history.is_healthy();
        if (has_changed) {
            try {
                endpoints_.set_health(about->id, is_healthy);
            } catch (...) {  // NOLINT(bugprone-empty-catch)
                // The set has it; a balancer could not follow (for want of memory, or its strategy would not
                // prepare) and tries again at the next change. The checks go on.
            }
        }
        if (options_.observer) {
            try {
                options_.observer({about->id, error, took, is_healthy, has_changed});
            } catch (...) {  // NOLINT(bugprone-empty-catch): its failure must not end the checks
            }
        }
    }

    endpoint_set endpoints_;
    const health_probe probe_;
    const health_checker_options options_;
    const std::shared_ptr<async::scheduler> time_;
    const asio::strand<asio::any_io_executor> strand_;
    splitmix64 random_;
    std::unordered_map<std::string, std::shared_ptr<watch>> watches_;  // by id
    std::atomic<bool> is_stopped_{false};
};

health_checker::health_checker(endpoint_set endpoints, health_probe probe, health_checker_options options,
                               std::shared_ptr<async::scheduler> scheduler) {
    validate(options);
    if (!probe) {
        throw std::invalid_argument("health_checker: the probe is empty");
    }
    if (scheduler == nullptr) {
        throw std::invalid_argument("health_checker: the scheduler is null");
    }
    core_ = std::make_shared<core>(std::move(endpoints), std::move(probe), std::move(options),
                                   std::move(scheduler));
    core_->begin();
}

health_checker::~health_checker() {
    core_->stop();
}

}  // namespace levee::route
