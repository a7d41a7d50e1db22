#include "levee/redis/scanner.hpp"

#include <stdexcept>

namespace levee::redis {

scanner::scanner(std::shared_ptr<detail::client_core> core, scan_options options)
    : core_(std::move(core)), options_(std::move(options)) {
    if (options_.count == 0) {
        throw std::invalid_argument("scan_options::count is 0; it must be above zero");
    }
}

command scanner::question() const {
    if (is_over_) {
        return command("PING");  // so that an asynchronous caller is answered like any other
    }
    command one("SCAN", cursor_);
    if (!options_.match.empty()) {
        one.add("MATCH").add(options_.match);
    }
    one.add("COUNT").add(options_.count);
    if (!options_.type.empty()) {
        one.add("TYPE").add(options_.type);
    }
    return one.idempotent();
}

scanner::to_batch::type scanner::to_batch::operator()(detail::request& done) const {
    if (self->is_over_) {
        return std::nullopt;
    }
    auto answer = std::move(done.answer).elements();
    if (answer.size() != 2) {
        throw levee::error(levee::errc::invalid_data,
                           "an answer to SCAN has " + std::to_string(answer.size()) + " elements, not 2");
    }
    self->cursor_ = std::move(answer[0]).text();
    self->is_over_ = self->cursor_ == "0";
    std::vector<std::string> keys;
    auto found = std::move(answer[1]).elements();
    keys.reserve(found.size());
    for (reply& each : found) {
        keys.push_back(std::move(each).text());
    }
    return keys;
}

std::optional<std::vector<std::string>> scanner::next() {
    if (is_over_) {
        return std::nullopt;
    }
    return detail::call(*core_->pick(), question(), core_->blocking_deadline({}), to_batch{this});
}

}  // namespace levee::redis
