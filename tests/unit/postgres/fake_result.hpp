/// Results made by libpq's own calls, without a server.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "levee/postgres/result.hpp"
#include "postgres/result_access.hpp"

namespace levee::tests {

struct fake_column {
    std::string name;
    postgres::type_oid type = postgres::type_oid::text;
    bool is_binary = false;
};

/// Cells row by row; an empty optional is NULL.
inline postgres::result make_fake_result(std::vector<fake_column> columns,
                                         const std::vector<std::vector<std::optional<std::string>>>& rows) {
    PGresult* const raw = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::vector<PGresAttDesc> described;
    for (fake_column& each : columns) {
        PGresAttDesc one{};
        one.name = each.name.data();
        one.format = each.is_binary ? 1 : 0;
        one.typid = static_cast<Oid>(each.type);
        described.push_back(one);
    }
    PQsetResultAttrs(raw, static_cast<int>(described.size()), described.data());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t j = 0; j < rows[i].size(); ++j) {
            std::optional<std::string> cell = rows[i][j];
            PQsetvalue(raw, static_cast<int>(i), static_cast<int>(j), cell ? cell->data() : nullptr,
                       cell ? static_cast<int>(cell->size()) : -1);
        }
    }
    return postgres::detail::make_result(raw);
}

}  // namespace levee::tests
