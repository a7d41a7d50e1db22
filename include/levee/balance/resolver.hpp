/// Where endpoints come from.
#pragma once

#include "levee/balance/endpoint.hpp"
#include "levee/balance/endpoint_set.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace levee {

/// Names the endpoints of a service: DNS, a registry, a file. It is asked; it has no thread of its own.
class resolver {
public:
    resolver() = default;
    resolver(const resolver&) = delete;
    resolver& operator=(const resolver&) = delete;
    virtual ~resolver() = default;

    /// The endpoints now. Blocks: as the implementation says. Errors: it throws when it does not know; an
    /// empty answer means that there are none.
    [[nodiscard]] virtual std::vector<endpoint> resolve() = 0;
};

/// Always the same answer.
class static_resolver final : public resolver {
public:
    explicit static_resolver(std::vector<endpoint> endpoints) : endpoints_(std::move(endpoints)) {}
    [[nodiscard]] std::vector<endpoint> resolve() override { return endpoints_; }

private:
    std::vector<endpoint> endpoints_;
};

/// Whatever a function answers. Thread safety: the function's.
class callback_resolver final : public resolver {
public:
    /// Errors: std::invalid_argument if `answer` is empty.
    explicit callback_resolver(std::function<std::vector<endpoint>()> answer);
    [[nodiscard]] std::vector<endpoint> resolve() override { return answer_(); }

private:
    std::function<std::vector<endpoint>()> answer_;
};

/// `endpoints.update(from.resolve())`: if resolving throws, the set stays as it was.
endpoint_changes refresh(endpoint_set& endpoints, resolver& from);

}  // namespace levee
