#include "levee/redis/error.hpp"

#include <array>
#include <utility>

namespace levee::redis {
namespace {

struct redis_category final : std::error_category {
    [[nodiscard]] const char* name() const noexcept override { return "redis"; }

    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::connection_lost:
                return "the connection was lost before the answer came";
            case errc::not_connected:
                return "not connected";
            case errc::queue_full:
                return "too many commands wait already";
            case errc::protocol_error:
                return "not the Redis protocol";
            case errc::reply_too_large:
                return "the reply is larger than allowed";
            case errc::tls_failed:
                return "no trusted TLS session";
            case errc::server_error:
                return "the server refused";
            case errc::authentication:
                return "not authenticated, or not allowed";
            case errc::loading:
                return "the server is loading its data";
            case errc::read_only:
                return "the server takes no writes";
            case errc::wrong_type:
                return "the key holds another kind of value";
            case errc::out_of_memory:
                return "the server is out of memory";
            case errc::no_script:
                return "the server does not know the script";
            case errc::transaction_aborted:
                return "the transaction was refused";
            case errc::busy:
                return "the server is busy with a script";
            case errc::misconfigured:
                return "the server cannot save and takes no writes";
            case errc::master_down:
                return "master and replicas are not linked";
            case errc::cluster_down:
                return "the cluster is down";
            case errc::moved:
                return "another node has the slot";
            case errc::ask:
                return "another node has the key";
            case errc::try_again:
                return "the keys are being moved";
            case errc::cross_slot:
                return "the keys are in different slots";
        }
        return "unknown error";
    }

    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<errc>(code)) {
            case errc::connection_lost:
                return std::errc::connection_reset;
            case errc::not_connected:
                return std::errc::not_connected;
            case errc::queue_full:
                return std::errc::no_buffer_space;
            case errc::protocol_error:
                return std::errc::protocol_error;
            case errc::reply_too_large:
                return std::errc::message_size;
            case errc::authentication:
                return std::errc::permission_denied;
            case errc::read_only:
                return std::errc::read_only_file_system;
            case errc::out_of_memory:
                return std::errc::not_enough_memory;
            default:
                return {code, *this};
        }
    }
};

constexpr std::array<std::pair<std::string_view, errc>, 18> words{{
    {"NOAUTH", errc::authentication},
    {"WRONGPASS", errc::authentication},
    {"NOPERM", errc::authentication},
    {"LOADING", errc::loading},
    {"READONLY", errc::read_only},
    {"WRONGTYPE", errc::wrong_type},
    {"OOM", errc::out_of_memory},
    {"NOSCRIPT", errc::no_script},
    {"EXECABORT", errc::transaction_aborted},
    {"BUSY", errc::busy},
    {"MISCONF", errc::misconfigured},
    {"MASTERDOWN", errc::master_down},
    {"NOREPLICAS", errc::master_down},
    {"CLUSTERDOWN", errc::cluster_down},
    {"MOVED", errc::moved},
    {"ASK", errc::ask},
    {"TRYAGAIN", errc::try_again},
    {"CROSSSLOT", errc::cross_slot},
}};

}  // namespace

const std::error_category& error_category() noexcept {
    // Leaked on purpose: destructors of user globals may still compare codes after main.
    static const std::error_category& instance = *new redis_category;
    return instance;
}

std::error_code code_of(std::string_view server_answer) noexcept {
    const std::string_view first = server_answer.substr(0, server_answer.find(' '));
    for (const auto& [word, code] : words) {
        if (first == word) {
            return code;
        }
    }
    if (server_answer.starts_with("ERR AUTH") || server_answer.starts_with("ERR Client sent AUTH") ||
        server_answer.starts_with("ERR invalid password")) {
        return errc::authentication;
    }
    return errc::server_error;
}

bool is_transient(const std::error_code& code) noexcept {
    return code == errc::loading || code == errc::busy || code == errc::cluster_down ||
           code == errc::master_down || code == errc::try_again;
}

}  // namespace levee::redis
