// What the benchmarks of write-behind share: one server that syncs each commit, and a table in it.
#pragma once

#include <stdlib.h>
#include <sys/vfs.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

#include "../../tests/support/postgres_server.hpp"
#include "levee/async/runtime.hpp"
#include "levee/cache/cache_options.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"
#include "levee/store/source.hpp"

namespace levee::benchmarks {

using number = std::int64_t;
using key = std::int64_t;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t connections = 32;

inline void must_be(bool is_so, const char* otherwise) {
    if (!is_so) {
        throw std::runtime_error(otherwise);
    }
}

inline levee::cache_options<key, number> caches(levee::runtime& on) {
    return {.local = {.max_entries = 100'000},
            .executor = on.get_executor(),
            .blocking_executor = on.blocking_executor()};
}

/// Where syncing costs something: the working directory, should the folder for temporary files be memory.
/// Before anything makes a folder there.
inline void use_a_real_disk() {
    constexpr long memory = 0x01021994;  // TMPFS_MAGIC
    struct statfs what{};
    const auto usual = std::filesystem::temp_directory_path();
    if (::statfs(usual.c_str(), &what) == 0 && what.f_type == memory) {
        ::setenv("TMPDIR", std::filesystem::current_path().c_str(), 1);
    }
}
inline const bool is_on_disk = (use_a_real_disk(), true);

inline levee::tests::postgres_server& server() {
    static levee::tests::postgres_server one;
    return one;
}

inline std::shared_ptr<levee::source<key, number>> table(levee::runtime& on) {
    levee::postgres::pool_options options{.connection = {.uri = server().uri(),
                                                         .executor = on.get_executor(),
                                                         .blocking_executor = on.blocking_executor()}};
    options.pool.max_size = connections;
    options.pool.max_waiters = 4096;
    static_cast<void>(server().execute(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (key bigint PRIMARY KEY, value bigint NOT NULL)"));
    return std::make_shared<levee::postgres::table_source<key, number>>(
        std::make_shared<levee::postgres::pool>(std::move(options)),
        levee::postgres::table_options{.table = "t"});
}

}  // namespace levee::benchmarks
