/// What a statement returned.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "levee/postgres/row.hpp"

namespace levee::postgres {

namespace detail {
struct raw_result_deleter {
    void operator()(raw_result* raw) const noexcept;
};
using raw_result_owner = std::unique_ptr<raw_result, raw_result_deleter>;
}  // namespace detail

/// The rows of one statement, and what it did. It owns them: they are there without the connection.
///
///     auto found = db.query("SELECT id, name FROM users WHERE age > $1", 30);
///     for (const row& each : found) { … each.get<std::int64_t>("id") … }
///     std::vector<user> users = found.as<user>();
///     auto count = db.query("SELECT count(*) FROM users").value<std::int64_t>();
///
/// Rows and fields point into it and stay valid when it is moved.
/// Thread safety: distinct objects: safe; shared objects: safe to read.
class result {
public:
    class iterator;

    /// No rows, no columns.
    result() = default;
    explicit result(detail::raw_result_owner raw) noexcept : raw_(std::move(raw)) {}

    /// The number of rows.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// Throws std::out_of_range.
    [[nodiscard]] row operator[](std::size_t index) const;
    [[nodiscard]] iterator begin() const noexcept;
    [[nodiscard]] iterator end() const noexcept;

    [[nodiscard]] std::size_t columns() const noexcept;
    /// Throws std::out_of_range; so does the next.
    [[nodiscard]] std::string_view column_name(std::size_t column) const;
    [[nodiscard]] type_oid column_type(std::size_t column) const;
    /// The column's number; empty: there is none of that name.
    [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const noexcept;

    /// "SELECT 3", "INSERT 0 1"; empty: the statement was empty.
    [[nodiscard]] std::string_view command_tag() const noexcept;
    /// Rows inserted, updated, deleted, selected, copied; 0 for other statements.
    [[nodiscard]] std::uint64_t affected_rows() const noexcept;

    /// Every row as a T: `row::as`.
    template <class T>
    [[nodiscard]] std::vector<T> as() const {
        std::vector<T> all;
        all.reserve(size());
        for (std::size_t i = 0; i < size(); ++i) {
            all.push_back(row(raw_.get(), i).as<T>());
        }
        return all;
    }

    /// The only row as a T; empty: there is none. Several are errc::invalid_data.
    template <class T>
    [[nodiscard]] std::optional<T> optional() const {
        expect_at_most_one();
        return empty() ? std::optional<T>() : std::optional<T>(row(raw_.get(), 0).as<T>());
    }

    /// The only row as a T. None, or several, are errc::invalid_data.
    template <class T>
    [[nodiscard]] T value() const {
        expect_one();
        return row(raw_.get(), 0).as<T>();
    }

    /// For levee's own use.
    [[nodiscard]] const detail::raw_result* raw() const noexcept { return raw_.get(); }

private:
    void expect_one() const;
    void expect_at_most_one() const;

    detail::raw_result_owner raw_{};
};

/// Random access over a result's rows; it gives them by value.
class result::iterator {
public:
    using iterator_concept = std::random_access_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = row;
    using difference_type = std::ptrdiff_t;
    using reference = row;
    using pointer = void;

    iterator() = default;
    iterator(const detail::raw_result* of, std::ptrdiff_t index) noexcept : of_(of), index_(index) {}

    [[nodiscard]] row operator*() const noexcept { return {of_, static_cast<std::size_t>(index_)}; }
    [[nodiscard]] row operator[](std::ptrdiff_t n) const noexcept { return *(*this + n); }

    iterator& operator++() noexcept { return *this += 1; }
    iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
    iterator& operator--() noexcept { return *this -= 1; }
    iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
    iterator& operator+=(std::ptrdiff_t n) noexcept {
        index_ += n;
        return *this;
    }
    iterator& operator-=(std::ptrdiff_t n) noexcept { return *this += -n; }
    [[nodiscard]] friend iterator operator+(iterator a, std::ptrdiff_t n) noexcept { return a += n; }
    [[nodiscard]] friend iterator operator+(std::ptrdiff_t n, iterator a) noexcept { return a += n; }
    [[nodiscard]] friend iterator operator-(iterator a, std::ptrdiff_t n) noexcept { return a -= n; }
    [[nodiscard]] friend std::ptrdiff_t operator-(iterator a, iterator b) noexcept {
        return a.index_ - b.index_;
    }
    [[nodiscard]] friend bool operator==(iterator a, iterator b) noexcept { return a.index_ == b.index_; }
    [[nodiscard]] friend std::strong_ordering operator<=>(iterator a, iterator b) noexcept {
        return a.index_ <=> b.index_;
    }

private:
    const detail::raw_result* of_ = nullptr;
    std::ptrdiff_t index_ = 0;
};

inline result::iterator result::begin() const noexcept {
    return {raw_.get(), 0};
}
inline result::iterator result::end() const noexcept {
    return {raw_.get(), static_cast<std::ptrdiff_t>(size())};
}

}  // namespace levee::postgres
