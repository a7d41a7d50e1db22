/// The part of `table_source` that does not depend on its types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "levee/postgres/parameters.hpp"
#include "levee/postgres/result.hpp"
#include "levee/postgres/statement.hpp"
#include "levee/postgres/table_options.hpp"
#include "levee/postgres/types.hpp"
#include "levee/store/source.hpp"

namespace levee::postgres::detail {

struct table_shape;

/// What a table's statements are, once its catalogue was read. No I/O.
///
/// Thread safety: safe once `learn` has returned.
class table {
public:
    /// `keys`, `values`: the element types of the parameters. Throws std::invalid_argument for wrong options.
    table(table_options options, std::vector<type_oid> keys, std::vector<type_oid> values);
    ~table();
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    /// What to ask the server first.
    [[nodiscard]] statement catalogue() const;
    /// Its answer. Throws levee::error: errc::unavailable for a table or column that is not there,
    /// errc::invalid_data without a unique index.
    void learn(const result& answer);

    /// True: a load's rows have the key first; else the number of the key.
    [[nodiscard]] bool rows_have_keys() const noexcept { return rows_have_keys_; }

    [[nodiscard]] statement load(parameters keys) const { return make(load_, std::move(keys)); }

    /// How the operations of a batch are written: in runs, each one statement.
    struct run {
        std::size_t begin = 0, end = 0;
        bool has_values = false;    ///< One of them has a value: then the parameters of the values are there.
        bool has_erasures = false;  ///< One of them has none.
        bool has_versions = false;
    };
    /// `is_value`, `version`: of each operation. With a version column, those with versions and those without
    /// are in runs of their own.
    [[nodiscard]] std::vector<run> runs_of(const std::vector<bool>& is_value,
                                           const std::vector<std::uint64_t>& versions) const;
    [[nodiscard]] statement store(const run& what, parameters values) const;

    /// Puts what a store returned beside the writes: `report[begin + n - 1].version`.
    void note_versions(const result& answer, const run& what, write_report& report) const;

    [[nodiscard]] const table_options& options() const noexcept { return options_; }
    [[nodiscard]] bool has_version() const noexcept { return !options_.version_column.empty(); }

private:
    [[nodiscard]] statement make(const std::string& sql, parameters values) const;

    const table_options options_;
    const std::unique_ptr<table_shape> shape_;
    bool rows_have_keys_ = false;
    std::string load_{};
    std::string store_[6]{};  // by kind, without and with versions
};

/// Which requests a key's bytes belong to.
class key_index {
public:
    /// One parameter a key; they must stay where they are.
    explicit key_index(const parameters& keys);

    /// Calls `f(i)` for each request of the key.
    template <class F>
    void for_each(std::string_view key, const F& f) const {
        const auto found = first_.find(key);
        for (std::size_t i = found == first_.end() ? none : found->second; i != none; i = next_[i]) {
            f(i);
        }
    }

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::unordered_map<std::string_view, std::size_t> first_;
    std::vector<std::size_t> next_;
};

/// The bytes of a parameter.
[[nodiscard]] inline std::string_view bytes_of(const parameters& all, std::size_t index) {
    return {all.data(index), static_cast<std::size_t>(all.length(index))};
}

}  // namespace levee::postgres::detail
