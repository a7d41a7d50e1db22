#include "levee/store/memory_backplane.hpp"

#include <utility>

#include "store/subscriber_list.hpp"

namespace levee {

struct memory_backplane::list_of_subscribers : store_detail::subscriber_list {};

memory_backplane::memory_backplane() : list_(std::make_shared<list_of_subscribers>()) {}
memory_backplane::~memory_backplane() = default;

void memory_backplane::publish(backplane_message message) {
    list_->tell(message);
}

boost::asio::awaitable<void> memory_backplane::async_publish(backplane_message message) {
    publish(std::move(message));
    co_return;
}

backplane_subscription memory_backplane::subscribe(message_handler on_message, gap_handler on_gap) {
    return list_->add(std::move(on_message), std::move(on_gap));
}

void memory_backplane::report_gap() {
    list_->tell_gap();
}

std::size_t memory_backplane::subscribers() const {
    return list_->size();
}

}  // namespace levee
