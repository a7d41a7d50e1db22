#include "levee/balance/ip_hash.hpp"

#include "balance/highest_score.hpp"
#include "balance/option_error.hpp"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

namespace levee {
namespace {

// The leading `bits` of an address, the others zero.
std::uint64_t hash_of_network(std::array<unsigned char, 16> address, std::size_t size, unsigned bits) {
    for (std::size_t i = 0; i < size; ++i) {
        const unsigned from = static_cast<unsigned>(i) * 8;
        const unsigned kept = bits <= from ? 0 : (std::min)(bits - from, 8U);
        address[i] = static_cast<unsigned char>(address[i] & (0xff00U >> kept));
    }
    return hash_bytes(address.data(), size, size);
}

std::uint64_t hash_of_client(std::string_view client, const ip_hash_options& options) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    std::array<unsigned char, 16> address{};
    if (client.size() < text.size()) {
        std::copy(client.begin(), client.end(), text.begin());
        if (::inet_pton(AF_INET, text.data(), address.data()) == 1) {
            return hash_of_network(address, 4, options.ipv4_bits);
        }
        if (::inet_pton(AF_INET6, text.data(), address.data()) == 1) {
            return hash_of_network(address, 16, options.ipv6_bits);
        }
    }
    return hash_bytes(client.data(), client.size());
}

}  // namespace

ip_hash::ip_hash(const ip_hash_options& options) : hashing_strategy(options.bounded_load), options_(options) {
    if (options.ipv4_bits < 1 || options.ipv4_bits > 32) {
        balance_detail::refuse_option("ip_hash_options::ipv4_bits", std::to_string(options.ipv4_bits),
                                      "in [1, 32]");
    }
    if (options.ipv6_bits < 1 || options.ipv6_bits > 128) {
        balance_detail::refuse_option("ip_hash_options::ipv6_bits", std::to_string(options.ipv6_bits),
                                      "in [1, 128]");
    }
}

std::shared_ptr<const strategy_plan> ip_hash::prepare(std::span<const candidate> candidates) const {
    return std::make_shared<balance_detail::highest_score>(candidates);
}

const candidate* ip_hash::pick(pick_view& view) const {
    const std::string_view client = view.context().client;
    const std::uint64_t hash = client.empty() ? hash_of(view) : hash_of_client(client, options_);
    return balance_detail::by_score(view, hash, view.plan<balance_detail::highest_score>().is_even(),
                                    [&](const candidate& one) { return takes(view, one); });
}

}  // namespace levee
