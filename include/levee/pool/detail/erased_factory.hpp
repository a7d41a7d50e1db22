/// A connection factory without the connection's type.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <utility>

#include "levee/core/error.hpp"
#include "levee/pool/connection_factory.hpp"

namespace levee::pool_detail {

struct connection_deleter {
    void (*destroy)(void*) noexcept = nullptr;
    void operator()(void* connection) const noexcept { destroy(connection); }
};
using connection_ptr = std::unique_ptr<void, connection_deleter>;

class erased_factory {
public:
    virtual ~erased_factory() = default;
    [[nodiscard]] virtual boost::asio::awaitable<connection_ptr> async_connect() = 0;
    [[nodiscard]] virtual boost::asio::awaitable<bool> async_is_valid(void* connection) = 0;
    [[nodiscard]] virtual boost::asio::awaitable<void> async_reset(void* connection) = 0;
    [[nodiscard]] virtual connection_ptr connect() = 0;
    [[nodiscard]] virtual bool is_valid(void* connection) = 0;
    virtual void reset(void* connection) = 0;
    [[nodiscard]] virtual bool needs_reset(const void* connection) const noexcept = 0;
    [[nodiscard]] virtual bool is_blocking() const noexcept = 0;
    [[nodiscard]] virtual connection_deleter deleter() const noexcept = 0;

protected:
    erased_factory() = default;
    erased_factory(const erased_factory&) = default;
    erased_factory& operator=(const erased_factory&) = default;
};

template <class C>
class typed_factory final : public erased_factory {
public:
    explicit typed_factory(std::shared_ptr<connection_factory<C>> factory)
        : factory_(std::move(factory)),
          blocking_(dynamic_cast<blocking_connection_factory<C>*>(factory_.get())) {}

    [[nodiscard]] boost::asio::awaitable<connection_ptr> async_connect() override {
        auto made = co_await factory_->async_connect();
        co_return erase(std::move(made));
    }
    [[nodiscard]] boost::asio::awaitable<bool> async_is_valid(void* connection) override {
        return factory_->async_is_valid(*static_cast<C*>(connection));
    }
    [[nodiscard]] boost::asio::awaitable<void> async_reset(void* connection) override {
        return factory_->async_reset(*static_cast<C*>(connection));
    }
    [[nodiscard]] connection_ptr connect() override { return erase(blocking_->connect()); }
    [[nodiscard]] bool is_valid(void* connection) override {
        return blocking_->is_valid(*static_cast<C*>(connection));
    }
    void reset(void* connection) override { blocking_->reset(*static_cast<C*>(connection)); }
    [[nodiscard]] bool needs_reset(const void* connection) const noexcept override {
        return factory_->needs_reset(*static_cast<const C*>(connection));
    }
    [[nodiscard]] bool is_blocking() const noexcept override { return blocking_ != nullptr; }
    [[nodiscard]] connection_deleter deleter() const noexcept override {
        return {[](void* connection) noexcept { delete static_cast<C*>(connection); }};
    }

private:
    connection_ptr erase(std::unique_ptr<C> made) const {
        if (made == nullptr) {
            throw error(errc::invalid_data, "a connection factory returned a null pointer");
        }
        return {made.release(), deleter()};
    }

    const std::shared_ptr<connection_factory<C>> factory_;
    blocking_connection_factory<C>* const blocking_;  // null: coroutines
};

}  // namespace levee::pool_detail
