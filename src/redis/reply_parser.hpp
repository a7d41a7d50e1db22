/// From bytes to replies: hiredis' reader, held to limits that it does not have.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "levee/redis/reply.hpp"

struct redisReader;

namespace levee::redis::detail {

struct reply_limits {
    std::size_t bytes = 512U << 20U;
    std::size_t elements = 1U << 20U;
};

class reply_builder;

/// Takes bytes as they come, split anywhere, and makes replies of them. Once it has failed it takes nothing
/// more: where the next reply begins is not known then.
///
/// Thread safety: unsafe on a shared object.
class reply_parser {
public:
    explicit reply_parser(const reply_limits& limits);
    ~reply_parser();
    reply_parser(const reply_parser&) = delete;
    reply_parser& operator=(const reply_parser&) = delete;

    /// Appends what is complete. False: the bytes are not RESP2, or beyond the limits.
    [[nodiscard]] bool feed(const char* data, std::size_t size, std::vector<reply>& complete);

    [[nodiscard]] const std::error_code& code() const noexcept { return code_; }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    struct reader_deleter {
        void operator()(redisReader* reader) const noexcept;
    };

    bool feed_some(const char* data, std::size_t size, std::vector<reply>& complete);
    bool is_within_limits();
    bool fail(std::error_code code, std::string message);

    std::unique_ptr<reply_builder> builder_;
    std::unique_ptr<redisReader, reader_deleter> reader_;
    std::error_code code_{};
    std::string message_{};
};

}  // namespace levee::redis::detail
