#include <unistd.h>

#include <filesystem>
// After those: it begins with hostile macros.
#include <all_headers.hpp>

std::string describe(levee::errc code);

// A read-through over a table: every library of the package is linked into it and used.
int main() {
    using table = levee::sqlite::table_source<std::int64_t, std::string>;
    const std::filesystem::path file =
        std::filesystem::temp_directory_path() / ("levee_consumer_" + std::to_string(::getpid()) + ".db");
    bool right = false;
    {
        const auto products =
            std::make_shared<table>(levee::sqlite::table_options{.path = file.string(),
                                                                 .table = "products",
                                                                 .create_if_missing = true,
                                                                 .write_ahead_log = false,
                                                                 .sync_every_commit = false});
        static_cast<void>(products->store({{.key = 42, .value = "a boat"}}));

        levee::runtime runtime{1};
        levee::testing::manual_clock clock;
        levee::read_through<std::int64_t, std::string> cache(
            products, {.local = {.max_entries = 100, .clock = &clock},
                       .executor = runtime.get_executor(),
                       .blocking_executor = runtime.blocking_executor()});
        right = cache.get(42) == "a boat" && cache.get(42) == "a boat" && !cache.get(43);
    }
    std::filesystem::remove(file);
    {
        levee::runtime runtime{1};
        levee::redis::client nobody_there({.port = 1,
                                           .executor = runtime.get_executor(),
                                           .while_disconnected = levee::redis::when_disconnected::fail});
        try {
            nobody_there.set("key", "value");
            right = false;
        } catch (const levee::redis::error& refused) {
            right = right && !refused.may_have_been_executed();
        }
    }
    {
        levee::runtime runtime{1};
        levee::postgres::pool nobody_there({.connection = {.uri = "postgresql://levee@127.0.0.1:1/levee",
                                                           .executor = runtime.get_executor()}});
        try {
            nobody_there.query("SELECT $1", 42);
            right = false;
        } catch (const levee::error& refused) {
            right = right && std::string(refused.what()).size() > 0;
        }
    }
    return right && !describe(levee::errc::timeout).empty() ? 0 : 1;
}
