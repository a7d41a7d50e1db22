/// What every remote store must do, as cases that any test framework can run against one's own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/store/remote_store.hpp"
#include "levee/testing/contract_violation.hpp"

namespace levee::testing {

/// A store under test, and how time passes for it.
struct remote_store_under_test {
    std::shared_ptr<remote_store> store{};

    /// Lets at least this much of the store's time pass: a manual clock's `advance`, or waiting. Cases
    /// take leases and lives of `unit` and pass at most ten.
    std::function<void(duration)> pass{};

    /// Long against the store's resolution of time and its answers' delay; 100 ms suits a server.
    duration unit = std::chrono::milliseconds(100);

    /// Lets the store forget all it holds, as a server that restarts without its data. Empty: what follows
    /// from that is not checked.
    std::function<void()> lose_data{};
};

/// One case. `run` throws contract_violation where the store breaks the rule that `name` states, and lets
/// the store's own errors pass. Each needs keys that no other case or run uses: `prefix`.
struct remote_store_case {
    std::string name{};
    std::function<void(const remote_store_under_test& subject, const std::string& prefix)> run{};
};

/// The contract of `remote_store`, through its blocking forms, which drive the awaitable ones by default.
///
///     for (const auto& rule : levee::testing::remote_store_contract()) {
///         SCOPED_TRACE(rule.name);
///         rule.run(subject, unique_prefix());
///     }
[[nodiscard]] std::vector<remote_store_case> remote_store_contract();

}  // namespace levee::testing
