#include "postgres/canceller.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "levee/postgres/detail/async_request.hpp"
#include "postgres/establish.hpp"
#include "postgres/session.hpp"

namespace levee::postgres::detail {

namespace asio = boost::asio;

canceller::canceller(const connection_options& options)
    : options_(options), strand_(asio::make_strand(options.executor)) {}

canceller::~canceller() {
    if (over_ != nullptr) {
        over_->close();
    }
}

void canceller::close() noexcept {
    asio::post(strand_, [self = shared_from_this()] {
        self->is_closed_ = true;
        if (const auto over = std::exchange(self->over_, nullptr)) {
            over->close();
        }
    });
}

void canceller::cancel(std::shared_ptr<session> target, const backend& whom, server_address where) {
    asio::post(strand_, [self = shared_from_this(), target = std::move(target), whom,
                         where = std::move(where)]() mutable {
        auto& own = *self;
        if (own.is_closed_ || own.under_way_ >= most_at_once) {
            target->cancel_ended(false);
            return;
        }
        ++own.under_way_;
        auto work = run(self, std::move(target), whom, std::move(where));
        asio::co_spawn(own.strand_, std::move(work), asio::detached);
    });
}

asio::awaitable<void> canceller::run(std::shared_ptr<canceller> self, std::shared_ptr<session> target,
                                     backend whom, server_address where) {
    bool was_asked = false;
    try {
        was_asked = co_await self->ask(whom, where);
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the target learns of it
    }
    --self->under_way_;
    target->cancel_ended(was_asked);
}

asio::awaitable<bool> canceller::ask(backend whom, const server_address& where) {
    const time_point deadline = after(options_.scheduler->now(), options_.cancel_timeout);
    std::shared_ptr<session> over = over_;
    if (over == nullptr || there_ != where || !over->looks_alive()) {
        auto plain = options_;
        plain.role = server_role::any;
        plain.on_notice = nullptr;
        plain.max_prepared = 1;
        auto config = std::make_shared<const session_config>(std::move(plain));
        const std::optional<server_address> only = where;
        over = co_await establish(config, deadline, true, only);
        if (is_closed_) {
            over->close();
            co_return false;
        }
        over_ = over;
        there_ = where;
    }
    statement question(cancel_backend, whom.process, whom.started);
    auto pending = async_ask(over, std::move(question), deadline, asio::use_awaitable);
    const result answer = co_await std::move(pending);
    co_return !answer.empty() && answer.value<bool>();
}

}  // namespace levee::postgres::detail
