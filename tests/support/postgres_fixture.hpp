/// What tests against a real PostgreSQL begin with.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "levee/async/runtime.hpp"
#include "levee/postgres/connection.hpp"
#include "postgres_server.hpp"

namespace levee::tests {

/// Threads, and a server for all cases of a program that leave it as it was. Skipped where there is none.
class postgres_fixture : public ::testing::Test {
protected:
    void SetUp() override {
        if (!postgres_server::is_installed()) {
            GTEST_SKIP() << postgres_server::why_skipped;
        }
    }

    static postgres_server& shared_server() {
        static postgres_server one;
        return one;
    }

    /// Of a connection to `uri`; the rest as it is by default.
    [[nodiscard]] postgres::connection_options connection_to(const std::string& uri) {
        return {.uri = uri, .executor = rt_.get_executor(), .blocking_executor = rt_.blocking_executor()};
    }

    runtime rt_{2};
};

}  // namespace levee::tests
