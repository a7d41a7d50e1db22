#include "postgres/statement_cache.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "postgres/session_traces.hpp"

namespace levee::postgres::detail {

void statement_cache::make_key(std::string_view sql, const parameters& values) {
    key_.assign(sql);
    key_.push_back('\0');  // no text has it
    for (std::size_t i = 0; i < values.size(); ++i) {
        auto type = static_cast<std::uint32_t>(values.type(i));
        for (int byte = 0; byte < 4; ++byte, type >>= 8U) {
            key_.push_back(static_cast<char>(type & 0xffU));
        }
    }
}

statement_cache::found statement_cache::find_or_add(std::string_view sql, const parameters& values) {
    if (prepared_statement* const known = find(sql, values)) {
        return {known, false};
    }
    if (capacity_ == 0) {
        return {};
    }
    if (by_key_.size() >= capacity_) {
        prepared_statement& oldest = statements_.back();
        by_key_.erase(oldest.key);
        dropped_.push_back(std::move(oldest.name));
        statements_.pop_back();
    }
    statements_.push_front({.key = key_,
                            .number = next_number_,
                            .name = "levee_" + std::to_string(next_number_),
                            .traces = traces_of_text(sql)});
    ++next_number_;
    by_key_.emplace(statements_.front().key, statements_.begin());
    return {&statements_.front(), true};
}

prepared_statement* statement_cache::find(std::string_view sql, const parameters& values) {
    if (capacity_ == 0) {
        return nullptr;
    }
    make_key(sql, values);
    const auto at = by_key_.find(key_);
    if (at == by_key_.end()) {
        return nullptr;
    }
    statements_.splice(statements_.begin(), statements_, at->second);
    return &statements_.front();
}

void statement_cache::forget(std::string_view sql, const parameters& values, bool is_known) {
    if (find(sql, values) != nullptr) {
        prepared_statement& gone = statements_.front();
        by_key_.erase(gone.key);
        if (is_known) {
            dropped_.push_back(std::move(gone.name));
        }
        statements_.pop_front();
    }
}

void statement_cache::forget(std::uint64_t number) {
    const auto at = std::find_if(statements_.begin(), statements_.end(),
                                 [&](const prepared_statement& each) { return each.number == number; });
    if (at != statements_.end()) {
        by_key_.erase(at->key);
        statements_.erase(at);
    }
}

void statement_cache::forget_all() {
    by_key_.clear();
    statements_.clear();
    dropped_.clear();
}

std::vector<std::string> statement_cache::take_dropped() {
    return std::exchange(dropped_, {});
}

void statement_cache::put_back_dropped(std::vector<std::string> names) {
    dropped_.insert(dropped_.end(), std::make_move_iterator(names.begin()),
                    std::make_move_iterator(names.end()));
}

}  // namespace levee::postgres::detail
