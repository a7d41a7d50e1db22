/// What a link could not send yet: the newest for each key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "redis/backplane_message.hpp"

namespace levee::redis::detail {

/// Each message that is added has a place in time; one that was sent covers what was added before its sending
/// began, and nothing later.
///
/// Thread safety: safe.
class unsent_messages {
public:
    explicit unsent_messages(std::size_t max_messages) : max_messages_(max_messages) {}

    /// Joined with an earlier one on the same key: a removal stays one, a mark keeps its highest count. With
    /// too many, all of them become one: everything has changed.
    void add(const backplane_message& message);

    struct letter {
        linked_message linked{};
        std::uint64_t until = 0;  ///< What was added up to then, it covers.
    };

    /// One that waits; empty: none does. It stays until it is confirmed.
    [[nodiscard]] std::optional<letter> next() const;

    /// The place in time now: for `confirm`, of a message whose sending begins.
    [[nodiscard]] std::uint64_t now() const;

    /// It has been sent, so that what it covers need not be.
    void confirm(const linked_message& sent, std::uint64_t until);

    [[nodiscard]] std::size_t size() const;

private:
    /// Namespace, name, and whether it is a mark.
    using place = std::tuple<std::string, std::string, bool>;
    struct entry {
        backplane_message message{};
        std::uint64_t added = 0;
    };
    [[nodiscard]] static place place_of(const backplane_message& message);

    const std::size_t max_messages_;
    mutable std::mutex mutex_;  // guards what follows; taken alone
    std::uint64_t now_ = 0;
    std::map<place, entry> waiting_{};
    std::uint64_t everything_ = 0;  // when it was last asked for; 0: it was not
};

}  // namespace levee::redis::detail
