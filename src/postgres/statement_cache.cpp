#include "postgres/statement_cache.hpp"

#include <algorithm>
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

namespace {

std::string name_of(std::uint64_t number) {
    return "levee_" + std::to_string(number);
}

}  // namespace

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
        if (oldest.is_ready) {
            dropped_.push_back(std::move(oldest.name));
        }
        statements_.pop_back();
    }
    statements_.push_front(
        {.key = key_, .number = next_number_, .name = name_of(next_number_), .traces = traces_of_text(sql)});
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

statement_cache::order::iterator statement_cache::at(std::uint64_t number) {
    return std::find_if(statements_.begin(), statements_.end(),
                        [&](const prepared_statement& each) { return each.number == number; });
}

void statement_cache::prepared(std::uint64_t number) {
    if (const auto known = at(number); known != statements_.end()) {
        known->is_ready = true;
    } else {
        dropped_.push_back(name_of(number));  // it had to make room meanwhile
    }
}

void statement_cache::forget(std::uint64_t number) {
    if (const auto gone = at(number); gone != statements_.end()) {
        by_key_.erase(gone->key);
        statements_.erase(gone);
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

}  // namespace levee::postgres::detail
