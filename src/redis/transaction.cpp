#include "levee/redis/transaction.hpp"

namespace levee::redis {

transaction& transaction::operator=(transaction&& other) noexcept {
    if (this != &other) {
        leave();
        core_ = std::move(other.core_);
        connection_ = std::move(other.connection_);
        queued_ = std::move(other.queued_);
        generation_ = std::exchange(other.generation_, 0);
    }
    return *this;
}

transaction::~transaction() {
    leave();
}

void transaction::leave() noexcept {
    if (generation_ != 0) {
        connection_.discard();
    } else {
        connection_.give_back();
    }
}

pipeline transaction::take_queued() {
    pipeline all;
    all.add("MULTI");
    all.append(std::exchange(queued_, {}));
    all.add("EXEC");
    return all;
}

}  // namespace levee::redis
