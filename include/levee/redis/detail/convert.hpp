/// From a reply to what a typed call returns. One that has `least_words` is not sent with fewer words, as for
/// an empty list of keys: then `nothing` is its answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/clock.hpp"
#include "levee/redis/detail/request.hpp"

namespace levee::redis::detail {

struct to_reply {
    using type = reply;
    type operator()(request& done) const {
        done.answer.throw_if_error();
        return std::move(done.answer);
    }
};

/// Of a pipeline: error replies stay where they are.
struct to_replies {
    using type = std::vector<reply>;
    static constexpr std::size_t least_words = 1;
    static reply nothing() { return {}; }
    type operator()(request& done) const { return std::move(done.parts); }
};

/// Of a transaction: empty if a watched key was changed.
struct to_commit {
    using type = std::optional<std::vector<reply>>;
    type operator()(request& done) const;
};

struct to_optional_text {
    using type = std::optional<std::string>;
    type operator()(request& done) const { return std::move(done.answer).optional_text(); }
};

struct to_optional_texts {
    using type = std::vector<std::optional<std::string>>;
    static constexpr std::size_t least_words = 2;
    static reply nothing() { return reply::of_array({}); }
    type operator()(request& done) const;
};

struct to_texts {
    using type = std::vector<std::string>;
    type operator()(request& done) const;
};

struct to_pairs {
    using type = std::vector<std::pair<std::string, std::string>>;
    type operator()(request& done) const;
};

struct to_integer {
    using type = std::int64_t;
    type operator()(request& done) const { return done.answer.integer(); }
};

/// Of keys that a command names.
struct to_count {
    using type = std::size_t;
    static constexpr std::size_t least_words = 2;
    static reply nothing() { return reply::of_integer(0); }
    type operator()(request& done) const { return static_cast<std::size_t>(done.answer.integer()); }
};

struct to_bool {
    using type = bool;
    type operator()(request& done) const { return done.answer.integer() != 0; }
};

/// SET with a condition: nil says that it was not met.
struct to_was_set {
    using type = bool;
    type operator()(request& done) const {
        done.answer.throw_if_error();
        return !done.answer.is_nil();
    }
};

/// WATCH: notes which connection answered.
struct to_watched {
    using type = bool;
    std::uint64_t* generation = nullptr;
    type operator()(request& done) const {
        done.answer.throw_if_error();
        *generation = done.answered_by;
        return true;
    }
};

/// PTTL: empty for no such key, `duration::max()` for one that lives for ever.
struct to_life {
    using type = std::optional<duration>;
    type operator()(request& done) const;
};

/// True if there is nothing to send.
template <class Convert, class From>
[[nodiscard]] bool is_nothing(const From& from) {
    if constexpr (requires { Convert::least_words; }) {
        return from.size() < Convert::least_words;
    } else {
        return false;
    }
}

/// Makes a request that has nothing to send a done one.
template <class Convert>
void answer_with_nothing([[maybe_unused]] request& one) {
    if constexpr (requires { Convert::least_words; }) {
        one.answer = Convert::nothing();
        one.state = request_state::done;
    }
}

}  // namespace levee::redis::detail
