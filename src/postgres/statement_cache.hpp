/// Which statements a connection has prepared at its server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "levee/postgres/parameters.hpp"

namespace levee::postgres::detail {

/// A statement that the server knows by name, or is about to.
struct prepared_statement {
    std::string key{};         ///< The text and the types of its values: see `statement_cache`.
    std::uint64_t number = 0;  ///< Its own for ever; not 0.
    std::string name{};        ///< "levee_17"
    std::uint8_t traces = 0;   ///< What its text gives away: see `traces_of_text`.
    int format = 0;            ///< Of its results: 1 is binary.
    bool has_format = false;   ///< False: the first answer will tell which one pays.
    bool is_ready = false;     ///< The server has said that it knows it; until then it may still refuse it.
};

/// Keeps `capacity` statements; the one that was not used for longest makes room, and its name goes to
/// `take_dropped`, for the server to forget it: once the server has said that it knows it, and not before,
/// as it would refuse to forget what it does not know. Names are never used twice.
///
/// The same text with values of other types is another statement, as it is for the server.
///
/// Thread safety: unsafe.
class statement_cache {
public:
    explicit statement_cache(std::size_t capacity) : capacity_(capacity) {}

    /// `is_new`: the server has to be told. Null: `capacity` is zero. The pointer is good until the next call
    /// here, `prepared_statement::name` as long as the statement is kept.
    struct found {
        prepared_statement* statement = nullptr;
        bool is_new = false;
    };
    [[nodiscard]] found find_or_add(std::string_view sql, const parameters& values);

    /// The server has said that it knows it.
    void prepared(std::uint64_t number);

    /// Null: it is not there.
    [[nodiscard]] prepared_statement* find(std::string_view sql, const parameters& values);

    /// The server does not know it, or not in a form that can be used. `is_known`: it has to be told to
    /// forget it.
    void forget(std::string_view sql, const parameters& values, bool is_known);
    /// The server never came to know it.
    void forget(std::uint64_t number);
    /// The server has forgotten all of them.
    void forget_all();

    /// Names that the server may forget.
    [[nodiscard]] bool has_dropped() const noexcept { return !dropped_.empty(); }
    [[nodiscard]] std::vector<std::string> take_dropped();
    void put_back_dropped(std::string name) { dropped_.push_back(std::move(name)); }

    [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }

private:
    using order = std::list<prepared_statement>;  // the last used one first

    void make_key(std::string_view sql, const parameters& values);
    [[nodiscard]] order::iterator at(std::uint64_t number);

    std::size_t capacity_;
    std::string key_{};  // kept for its memory
    order statements_{};
    std::unordered_map<std::string_view, order::iterator> by_key_{};
    std::vector<std::string> dropped_{};
    std::uint64_t next_number_ = 1;
};

}  // namespace levee::postgres::detail
