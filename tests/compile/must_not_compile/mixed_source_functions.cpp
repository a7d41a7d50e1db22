// expect: load and store of one source are both plain or both coroutines
#include <boost/asio/awaitable.hpp>

#include "levee/store/source_from.hpp"

auto from = levee::source_from<int, int>(
    [](int key) { return key; },
    [](const levee::write_op<int, int>&) -> boost::asio::awaitable<void> { co_return; });
