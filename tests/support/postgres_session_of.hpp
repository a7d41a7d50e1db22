/// A PostgreSQL session that nothing else knows, for tests of what is below connections and pools.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "levee/core/clock.hpp"
#include "postgres/establish.hpp"
#include "postgres/session.hpp"

namespace levee::tests {

/// `is_shared`: as those that callers share. Blocks: until it is connected.
inline std::shared_ptr<postgres::detail::session> session_of(const postgres::connection_options& chosen,
                                                             bool is_shared) {
    auto config = std::make_shared<const postgres::detail::session_config>(chosen);
    const time_point until = clock::precise().now() + std::chrono::seconds(20);
    auto work = postgres::detail::establish(config, until, is_shared, std::nullopt);
    return boost::asio::co_spawn(boost::asio::make_strand(chosen.executor), std::move(work),
                                 boost::asio::use_future)
        .get();
}

}  // namespace levee::tests
