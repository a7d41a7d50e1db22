/// How calls for many keys begin for completion tokens.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "levee/cache/detail/bulk_call.hpp"
#include "levee/cache/detail/bulk_load.hpp"
#include "levee/cache/detail/bulk_look.hpp"

namespace levee::cache_detail {

template <class Core>
struct async_bulk_operation {
    using K = typename Core::key_type;
    using V = typename Core::mapped_type;

    std::shared_ptr<Core> core;
    entry_options lives{};
    loader_kind kind{};

    template <class Handler>
    void operator()(Handler&& handler, std::vector<K> keys, std::shared_ptr<bulk_loader<K, V>> loader) const {
        const auto call =
            std::make_shared<bulk_call<Core>>(core, std::move(keys), lives, std::move(loader), kind);
        call->start(std::forward<Handler>(handler));
    }
};

/// `get_many`: nothing is loaded.
template <class Core>
struct async_find_operation {
    using values = typename bulk_look<Core>::values;

    std::shared_ptr<Core> core;

    template <class Handler>
    void operator()(Handler&& handler, std::vector<typename Core::key_type> keys) const {
        const auto look = std::make_shared<bulk_look<Core>>(*core, std::move(keys));
        look->find();
        if (look->is_to_be_asked()) {
            boost::asio::co_spawn(core->options().executor, ask(core, look), std::forward<Handler>(handler));
            return;
        }
        auto executor = boost::asio::get_associated_executor(handler);
        boost::asio::post(executor, [look, h = std::forward<Handler>(handler)]() mutable {
            std::move(h)(std::exception_ptr(), look->result());
        });
    }

private:
    static boost::asio::awaitable<values> ask(std::shared_ptr<Core> core,
                                              std::shared_ptr<bulk_look<Core>> look) {
        auto names = look->ask();
        auto answers = co_await core->remote()->async_get_many(std::move(names));
        look->take(std::move(answers));
        co_return look->result();
    }
};

template <class K, class V, class Loader>
constexpr loader_kind bulk_kind_of() {
    using traits = bulk_loader_traits<K, V, Loader>;
    return {.is_coroutine = traits::is_coroutine, .is_detachable = traits::is_detachable};
}

template <class V>
using bulk_signature = void(std::exception_ptr, std::vector<std::optional<V>>);

}  // namespace levee::cache_detail
