#include "levee/redis/client.hpp"

#include <chrono>

namespace levee::redis {
namespace {

std::int64_t whole_milliseconds(duration life) {
    return std::chrono::ceil<std::chrono::milliseconds>(life).count();
}

}  // namespace

client::client(const client_options& options) : core_(std::make_shared<detail::client_core>(options)) {}

client::~client() {
    core_->close();
}

command client::set_command(command begun, const set_options& options) {
    if (options.time_to_live > duration::zero()) {
        begun.add("PX").add(whole_milliseconds(options.time_to_live));
    }
    if (options.when != set_when::always) {
        begun.add(options.when == set_when::absent ? "NX" : "XX");
    }
    return begun;
}

command client::expire_command(std::string_view key, duration life) {
    return command("PEXPIRE", key, whole_milliseconds(life));
}

}  // namespace levee::redis
