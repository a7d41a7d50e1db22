/// What tests against a real Redis begin with.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/client.hpp"
#include "redis_server.hpp"

namespace levee::tests {

/// A server of the case's own, started when it is asked for. Skipped where there is none.
class redis_server_fixture : public ::testing::Test {
protected:
    void SetUp() override {
        if (!redis_server::is_installed()) {
            GTEST_SKIP() << "no redis-server";
        }
    }

    /// `arguments` count when it is asked for the first time.
    redis_server& server(std::vector<std::string> arguments = {}) {
        if (server_ == nullptr) {
            server_ = std::make_unique<redis_server>(std::move(arguments));
        }
        return *server_;
    }

private:
    std::unique_ptr<redis_server> server_;
};

/// With threads and clients.
class redis_fixture : public redis_server_fixture {
protected:
    /// A patient client, for what is not about time-outs. `port`: a proxy's; 0: the server's.
    std::shared_ptr<redis::client> connect(duration timeout = std::chrono::seconds(20),
                                           std::uint16_t port = 0) {
        return std::make_shared<redis::client>(
            redis::client_options{.port = port != 0 ? port : server().port(),
                                  .executor = rt_.get_executor(),
                                  .command_timeout = timeout});
    }

    runtime rt_{2, 2};
};

}  // namespace levee::tests
