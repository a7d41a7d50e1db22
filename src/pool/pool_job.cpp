#include "pool/pool_job.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "levee/core/error.hpp"

namespace levee::pool_detail {

namespace asio = boost::asio;

void stoppable::spawn(std::shared_ptr<stoppable> self, asio::awaitable<void> work) {
    const auto strand = self->strand_;
    asio::post(strand, [strand, self = std::move(self), work = std::move(work)]() mutable {
        if (self->is_stopped_) {
            return;
        }
        const auto slot = self->signal_.slot();
        asio::co_spawn(strand, std::move(work),
                       asio::bind_cancellation_slot(
                           slot, [self = std::move(self)](const std::exception_ptr& /*reported*/) {}));
    });
}

// What spawning installed in the slot emits in a further step on the strand, through a pointer into the
// signal; so the signal is kept for one step more.
void stoppable::stop(std::shared_ptr<stoppable> self) noexcept {
    if (self == nullptr) {
        return;
    }
    try {
        const auto strand = self->strand_;
        asio::post(strand, [strand, self = std::move(self)] {
            self->is_stopped_ = true;
            self->signal_.emit(asio::cancellation_type::terminal);
            asio::post(strand, [self] { static_cast<void>(self); });
        });
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it ends later, and does not count
    }
}

/// Tells the core of the job's end, if nothing else has: the work was dropped unrun, as by a context that
/// goes away.
class pool_job::ending {
public:
    explicit ending(std::shared_ptr<pool_job> job) noexcept : job_(std::move(job)) {}
    ending(ending&&) noexcept = default;
    ending(const ending&) = delete;
    ending& operator=(const ending&) = delete;
    ending& operator=(ending&&) = delete;
    ~ending() {
        if (job_ != nullptr) {
            tell(std::make_exception_ptr(error(errc::closed, "the work was dropped by its executor")));
        }
    }

    void tell(std::exception_ptr failure) noexcept {
        const std::shared_ptr<pool_job> job = std::exchange(job_, nullptr);
        if (const auto core = job->core_.lock()) {
            core->end_job(*job, std::move(job->connection_), std::move(failure));
        }
    }

    [[nodiscard]] pool_job& job() const noexcept { return *job_; }

private:
    std::shared_ptr<pool_job> job_;
};

void pool_job::launch(const std::shared_ptr<pool_job>& self, const asio::any_io_executor& blocking) noexcept {
    try {
        ending end(self);
        if (self->factory_->is_blocking()) {
            asio::post(blocking, [end = std::move(end)]() mutable {
                std::exception_ptr failure;
                end.job().run_blocking(failure);
                end.tell(std::move(failure));
            });
        } else {
            spawn(self, run(std::move(end)));
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): `end`, wherever it was moved to, has told the core
    }
}

asio::awaitable<void> pool_job::run(ending end) {
    pool_job& job = end.job();
    std::exception_ptr failure;
    try {
        if (job.what_.kind == action_kind::connect) {
            job.connection_ = co_await job.factory_->async_connect();
        } else if (job.what_.kind == action_kind::reset) {
            co_await job.factory_->async_reset(job.connection_.get());
        } else if (!co_await job.factory_->async_is_valid(job.connection_.get())) {
            throw error(errc::unavailable, "the connection is not valid");
        }
    } catch (...) {
        failure = std::current_exception();
    }
    end.tell(std::move(failure));
}

void pool_job::run_blocking(std::exception_ptr& failure) noexcept {
    try {
        if (what_.kind == action_kind::connect) {
            connection_ = factory_->connect();
        } else if (what_.kind == action_kind::reset) {
            factory_->reset(connection_.get());
        } else if (!factory_->is_valid(connection_.get())) {
            throw error(errc::unavailable, "the connection is not valid");
        }
    } catch (...) {
        failure = std::current_exception();
    }
}

void pool_timer::launch(const std::shared_ptr<pool_timer>& self, std::shared_ptr<async::scheduler> time) {
    spawn(self, run(self, std::move(time)));
}

asio::awaitable<void> pool_timer::run(std::shared_ptr<pool_timer> self,
                                      std::shared_ptr<async::scheduler> time) {
    co_await time->sleep_until(self->when_);
    if (const auto core = self->core_.lock()) {
        core->timer_fired(*self);
    }
}

}  // namespace levee::pool_detail
