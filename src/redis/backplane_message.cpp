#include "redis/backplane_message.hpp"

#include "levee/core/hash.hpp"
#include "redis/little_endian.hpp"

namespace levee::redis::detail {
namespace {

constexpr std::string_view magic = "LEVB";
constexpr char version = 1;
constexpr std::uint8_t everything = 255;
constexpr std::size_t fixed = 42;  // up to the namespace
constexpr std::size_t checksum = 8;

std::uint64_t checksum_of(std::string_view of) noexcept {
    return hash_bytes(of.data(), of.size(), 0x4255'5300);
}

}  // namespace

std::string encode(const linked_message& linked) {
    const backplane_message& message = linked.message;
    std::string made(magic);
    made.reserve(fixed + message.name_space.size() + message.name.size() + checksum);
    made += version;
    put(made, linked.is_everything ? everything : static_cast<std::uint8_t>(message.what));
    put(made, linked.link);
    put(made, linked.number);
    put(made, message.sender);
    put(made, message.count);
    put(made, static_cast<std::uint32_t>(message.name_space.size()));
    made += message.name_space;
    made += message.name;
    put(made, checksum_of(made));
    return made;
}

heard_as decode(std::string_view payload, linked_message& linked) {
    if (payload.substr(0, magic.size()) != magic) {
        return heard_as::foreign;
    }
    if (payload.size() < fixed + checksum || payload[4] != version) {
        return heard_as::unreadable;
    }
    const std::string_view body = payload.substr(0, payload.size() - checksum);
    const auto kind = get<std::uint8_t>(body, 5);
    const std::size_t name_space = get<std::uint32_t>(body, 38);
    if (get<std::uint64_t>(payload, body.size()) != checksum_of(body) || name_space > body.size() - fixed ||
        (kind > static_cast<std::uint8_t>(change::marked) && kind != everything)) {
        return heard_as::unreadable;
    }
    linked.is_everything = kind == everything;
    linked.link = get<std::uint64_t>(body, 6);
    linked.number = get<std::uint64_t>(body, 14);
    linked.message.what = linked.is_everything ? change::invalidated : static_cast<change>(kind);
    linked.message.sender = get<std::uint64_t>(body, 22);
    linked.message.count = get<std::uint64_t>(body, 30);
    linked.message.name_space = body.substr(fixed, name_space);
    linked.message.name = body.substr(fixed + name_space);
    return heard_as::message;
}

}  // namespace levee::redis::detail
