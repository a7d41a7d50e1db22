/// Walking through the keys of a database.
#pragma once

#include <boost/asio/async_result.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/redis/detail/async_request.hpp"
#include "levee/redis/detail/client_core.hpp"

namespace levee::redis {

/// Which keys, and how many at a time.
struct scan_options {
    std::string match{};      ///< A pattern with *, ? and […]. Empty: all keys.
    std::size_t count = 500;  ///< Keys that the server looks at for one answer, about. Above zero.
    std::string type{};       ///< "string", "hash", …. Empty: any.
};

/// SCAN: keys in batches, while others go on using the server.
///
/// A key that is there all the while is given at least once, perhaps more often; one that comes or goes
/// meanwhile, perhaps. A batch may be empty without being the last.
///
///     auto keys = client.scan({.match = "session:*"});
///     while (auto batch = keys.next()) { … }
///
/// Thread safety: distinct objects: safe; shared objects: unsafe. Must not be moved or destroyed while
/// `async_next` is under way.
class scanner {
public:
    /// The next batch; empty: there are no more. Blocks, Errors: as `client::execute`.
    [[nodiscard]] std::optional<std::vector<std::string>> next();

    /// void(std::exception_ptr, std::optional<std::vector<std::string>>)
    template <class Token>
    auto async_next(Token&& token) {
        return boost::asio::async_initiate<Token,
                                           void(std::exception_ptr, std::optional<std::vector<std::string>>)>(
            detail::async_operation<to_batch>{}, token, question(), std::string(), std::uint64_t{0},
            core_->deadline({}), to_batch{this}, core_->pick());
    }

private:
    friend class client;

    struct to_batch {
        using type = std::optional<std::vector<std::string>>;
        scanner* self = nullptr;
        type operator()(detail::request& done) const;
    };

    scanner(std::shared_ptr<detail::client_core> core, scan_options options);
    [[nodiscard]] command question() const;

    std::shared_ptr<detail::client_core> core_;
    scan_options options_;
    std::string cursor_ = "0";
    bool is_over_ = false;
};

}  // namespace levee::redis
