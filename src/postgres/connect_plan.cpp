#include "postgres/connect_plan.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <stdexcept>
#include <string_view>

namespace levee::postgres::detail {
namespace {

constexpr std::array<std::pair<server_role, const char*>, 6> words{{
    {server_role::any, "any"},
    {server_role::read_write, "read-write"},
    {server_role::read_only, "read-only"},
    {server_role::primary, "primary"},
    {server_role::standby, "standby"},
    {server_role::prefer_standby, "prefer-standby"},
}};

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0;;) {
        const std::size_t comma = list.find(',', begin);
        parts.push_back(list.substr(begin, comma - begin));
        if (comma == std::string::npos) {
            return parts;
        }
        begin = comma + 1;
    }
}

}  // namespace

std::optional<connect_plan::attempt> connect_plan::next(time_point now, time_point deadline) {
    const std::size_t all = servers_.size() * rounds();
    if (tried_ == all) {
        return std::nullopt;
    }
    const std::size_t round = tried_ / servers_.size();
    attempt made;
    made.where = servers_[tried_ % servers_.size()];
    made.session_attributes =
        role_ == server_role::prefer_standby ? (round == 0 ? "standby" : "any") : session_attributes(role_);
    const duration left = (std::max)(deadline - now, duration::zero());
    made.deadline = after(now, left / static_cast<duration::rep>(all - tried_));
    ++tried_;
    return made;
}

const char* session_attributes(server_role role) noexcept {
    for (const auto& [each, word] : words) {
        if (each == role) {
            return word;
        }
    }
    return "any";
}

std::optional<server_role> role_of(const std::string& word) {
    for (const auto& [role, each] : words) {
        if (word == each) {
            return role;
        }
    }
    return std::nullopt;
}

std::vector<server_address> pair_up(const std::string& hosts, const std::string& addresses,
                                    const std::string& ports) {
    const auto all_hosts = split(hosts);
    const auto all_addresses = split(addresses);
    const auto all_ports = split(ports);
    const std::size_t count = addresses.empty() ? all_hosts.size() : all_addresses.size();
    if (!addresses.empty() && !hosts.empty() && all_hosts.size() != count) {
        throw std::invalid_argument("connection_options: " + std::to_string(all_hosts.size()) +
                                    " hosts and " + std::to_string(count) + " host addresses");
    }
    if (all_ports.size() != 1 && all_ports.size() != count) {
        throw std::invalid_argument("connection_options: " + std::to_string(all_ports.size()) +
                                    " ports for " + std::to_string(count) + " hosts");
    }
    std::vector<server_address> servers;
    for (std::size_t i = 0; i < count; ++i) {
        servers.push_back({.host = hosts.empty() ? std::string() : all_hosts[i],
                           .address = addresses.empty() ? std::string() : all_addresses[i],
                           .port = all_ports.size() == 1 ? all_ports[0] : all_ports[i]});
    }
    return servers;
}

bool is_name(const server_address& server) {
    if (!server.address.empty() || server.host.empty() || server.host[0] == '/' || server.host[0] == '@') {
        return false;
    }
    boost::system::error_code no_address;
    static_cast<void>(boost::asio::ip::make_address(server.host, no_address));
    return no_address.failed();
}

}  // namespace levee::postgres::detail
