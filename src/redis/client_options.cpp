#include "levee/redis/client_options.hpp"

#include <stdexcept>

namespace levee::redis {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& value, const std::string& range) {
    throw std::invalid_argument("client_options::" + field + " is " + value + "; it must be " + range);
}

void check_positive(const char* field, duration value) {
    if (value <= duration::zero()) {
        refuse(field, std::to_string(value.count()) + " ns", "above zero");
    }
}

void check_range(const char* field, std::size_t value, std::size_t least, std::size_t most) {
    if (value < least || value > most) {
        refuse(field, std::to_string(value),
               most == SIZE_MAX ? "at least " + std::to_string(least)
                                : "in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
    }
}

}  // namespace

void validate(const client_options& options) {
    if (!options.executor) {
        refuse("executor", "empty", "set");
    }
    if (options.unix_socket.empty()) {
        if (options.host.empty()) {
            refuse("host", "empty", "a name or an address, or unix_socket be set");
        }
        check_range("port", options.port, 1, 65'535);
    } else if (options.unix_socket.size() > 107) {
        refuse("unix_socket", std::to_string(options.unix_socket.size()) + " bytes long", "at most 107");
    }
    check_positive("command_timeout", options.command_timeout);
    check_positive("connect_timeout", options.connect_timeout);
    check_range("connections", options.connections, 1, 1024);
    check_range("max_exclusive", options.max_exclusive, 1, 1024);
    check_range("max_attempts", options.max_attempts, 1, SIZE_MAX);
    check_range("max_pending", options.max_pending, 1, SIZE_MAX);
    check_range("max_pending_bytes", options.max_pending_bytes, 1, SIZE_MAX);
    check_range("max_reply_bytes", options.max_reply_bytes, 1, SIZE_MAX);
    check_range("max_reply_elements", options.max_reply_elements, 1, SIZE_MAX);
    if (options.silence_timeout < duration::zero()) {
        refuse("silence_timeout", std::to_string(options.silence_timeout.count()) + " ns", "at least zero");
    }
    for (const char each : options.client_name) {
        if (each < '!' || each > '~') {
            refuse("client_name", "\"" + options.client_name + "\"", "printable, without spaces");
        }
    }
    if (!options.user.empty() && options.password.empty()) {
        refuse("password", "empty", "set where user is");
    }
    if (options.tls.certificate_file.empty() != options.tls.key_file.empty()) {
        refuse("tls.key_file", options.tls.key_file.empty() ? "empty" : "set",
               "set together with tls.certificate_file");
    }
    validate(options.reconnect);
}

}  // namespace levee::redis
