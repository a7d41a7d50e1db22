/// A backplane within one process: several caches of it are nodes to each other.
#pragma once

#include <cstddef>
#include <memory>

#include "levee/store/backplane.hpp"

namespace levee {

/// Meets the whole contract of `backplane` within one process: `publish` calls all handlers before it
/// returns, on the calling thread, under no lock. A handler may publish.
///
/// Thread safety: safe. Errors: what a handler throws, after the others were called; std::bad_alloc.
class memory_backplane final : public backplane {
public:
    memory_backplane();
    ~memory_backplane() override;
    memory_backplane(const memory_backplane&) = delete;
    memory_backplane& operator=(const memory_backplane&) = delete;

    void publish(backplane_message message) override;
    [[nodiscard]] boost::asio::awaitable<void> async_publish(backplane_message message) override;
    [[nodiscard]] backplane_subscription subscribe(message_handler on_message, gap_handler on_gap) override;
    [[nodiscard]] time_point fresh_until() const noexcept override { return (time_point::max)(); }

    /// Tells all subscribers that messages may have been missed.
    void report_gap();

    [[nodiscard]] std::size_t subscribers() const;

private:
    struct list_of_subscribers;
    std::shared_ptr<list_of_subscribers> list_;
};

}  // namespace levee
