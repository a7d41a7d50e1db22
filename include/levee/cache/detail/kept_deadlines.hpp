/// Deadlines that a blocking thread keeps while it runs what it waits for.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "levee/cache/detail/flight.hpp"

namespace levee::cache_detail {

/// The deadlines of some flights. They are everybody's who waits for these, but there may be no scheduler, or
/// none that runs.
///
/// Thread safety: unsafe; it belongs to the thread that runs.
class kept_deadlines {
public:
    void add(std::shared_ptr<flight> watched) { watched_.push_back(std::move(watched)); }

    /// Blocks: until `here` has nothing left to do. Meanwhile the flights are softened when the first one is
    /// due for that, and expired when the first one is due.
    void run(boost::asio::io_context& here);

private:
    std::vector<std::shared_ptr<flight>> watched_;
};

}  // namespace levee::cache_detail
