/// What NOTIFY sends to those who LISTEN.
#pragma once

#include <string>

namespace levee::postgres {

struct notification {
    std::string channel{};
    std::string payload{};
    int sender = 0;  ///< The process number of the server's session that sent it.
};

}  // namespace levee::postgres
