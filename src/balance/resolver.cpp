#include "levee/balance/resolver.hpp"

#include <stdexcept>

namespace levee {

callback_resolver::callback_resolver(std::function<std::vector<endpoint>()> answer)
    : answer_(std::move(answer)) {
    if (!answer_) {
        throw std::invalid_argument("callback_resolver: the function is empty");
    }
}

endpoint_changes refresh(endpoint_set& endpoints, resolver& from) {
    return endpoints.update(from.resolve());
}

}  // namespace levee
