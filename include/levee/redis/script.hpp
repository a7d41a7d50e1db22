/// A Lua script of the server's.
#pragma once

#include <string>
#include <string_view>

namespace levee::redis {

/// A script and its name on the server, which is its SHA-1. `client::run` sends the name; if the server does
/// not know it (NOSCRIPT, as after a restart), the script itself goes out instead.
///
/// Make one for each script, not for each call. Thread safety: safe on a shared object.
class script {
public:
    explicit script(std::string source);

    [[nodiscard]] const std::string& source() const noexcept { return source_; }
    [[nodiscard]] const std::string& sha1() const noexcept { return sha1_; }

    /// Running it twice with the same arguments does no harm: see `command::idempotent`.
    script& idempotent(bool is = true) noexcept {
        is_idempotent_ = is;
        return *this;
    }
    [[nodiscard]] bool is_idempotent() const noexcept { return is_idempotent_; }

private:
    std::string source_;
    std::string sha1_;
    bool is_idempotent_ = false;
};

}  // namespace levee::redis
