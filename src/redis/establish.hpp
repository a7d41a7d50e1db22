/// From options to a link that is ready for commands.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "levee/core/clock.hpp"
#include "levee/redis/client_options.hpp"
#include "redis/link.hpp"

namespace levee::redis::detail {

/// Connects, begins TLS, authenticates, selects and names. Ends by `connect_timeout`. To be run on a strand.
///
/// Errors: levee::error; redis::error with errc::authentication if the server refused the user, errc::loading
/// and the like as it answers.
[[nodiscard]] boost::asio::awaitable<std::shared_ptr<link>> establish(const client_options& options,
                                                                      const tls_context* tls,
                                                                      std::shared_ptr<async::scheduler> time);

/// What is sent first on a new connection; empty: nothing.
[[nodiscard]] pipeline greeting(const client_options& options);

}  // namespace levee::redis::detail
