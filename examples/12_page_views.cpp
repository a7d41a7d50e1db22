/// A counter service that is killed (kill -9) in the midst of its work: page views are counted in memory,
/// journaled, and flushed to SQLite in batches. What was acknowledged before the death is in the table after
/// it.
#include <levee/async/runtime.hpp>
#include <levee/cache/write_behind.hpp>
#include <levee/sqlite/table_source.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int pages = 20;
constexpr int threads = 4;
constexpr int views_before_death = 4'000;

using counter = std::int64_t;

/// Opens the service on a folder, where it first takes up what a dead predecessor left in the journal, and
/// calls `use(views, view)`.
template <class Use>
void with_service(const std::string& folder, Use use) {
    levee::runtime runtime(1, 2);
    // README begins
    const auto table =
        std::make_shared<levee::sqlite::table_source<int, counter>>(levee::sqlite::table_options{
            .path = folder + "/views.db", .table = "views", .create_if_missing = true});

    levee::write_behind_options<int, counter> behind{.flush_interval = 200ms};
    behind.journal.emplace();
    behind.journal->folder = folder + "/journal";
    levee::write_behind<int, counter> views(table,
                                            {.local = {.max_entries = 10'000},
                                             .executor = runtime.get_executor(),
                                             .blocking_executor = runtime.blocking_executor()},
                                            std::move(behind));

    // Once it returns, the view is counted, whatever happens to this process; a page is a row each 200 ms.
    const auto view = [&](int page) {
        views.compute(page,
                      [](std::optional<counter> so_far) { return std::optional(so_far.value_or(0) + 1); });
    };
    // README ends
    use(views, view);
}

/// The child: counts until it is killed; says over the pipe which views were acknowledged.
void serve(const std::string& folder, int acknowledgements) {
    with_service(folder, [&](auto&, const auto& view) {
        std::vector<std::thread> visitors;
        for (int t = 0; t < threads; ++t) {
            visitors.emplace_back([&, t] {
                for (int page = t;; page = (page + 7) % pages) {
                    view(page);
                    if (::write(acknowledgements, &page, sizeof(page)) != sizeof(page)) {
                        ::_exit(1);
                    }
                }
            });
        }
        visitors.front().join();  // never
    });
}

}  // namespace

int main() {
    std::string folder = (std::filesystem::temp_directory_path() / "levee-views-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
        throw std::runtime_error("no folder for temporary files");
    }
    int ends[2];
    if (::pipe(ends) != 0) {
        throw std::runtime_error("no pipe");
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        serve(folder, ends[1]);
        ::_exit(1);
    }
    ::close(ends[1]);

    std::map<int, counter> acknowledged;
    int count = 0;
    for (int page = 0; ::read(ends[0], &page, sizeof(page)) == sizeof(page);) {
        ++acknowledged[page];
        if (++count == views_before_death) {
            ::kill(child, SIGKILL);
        }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
    if (!WIFSIGNALED(status)) {
        throw std::runtime_error("the service ended by itself");
    }
    std::printf("killed: %d views of %zu pages had been acknowledged\n", count, acknowledged.size());

    bool all_agree = true;
    with_service(folder, [](auto& views, const auto&) {
        std::printf("the next owner replays %llu records of the journal\n",
                    static_cast<unsigned long long>(views.stats().replayed));
        views.flush(30s);
        std::printf("and flushes %llu rows in %llu batches; pending: %zu\n",
                    static_cast<unsigned long long>(views.stats().flushed),
                    static_cast<unsigned long long>(views.stats().batches), views.stats().pending);
    });
    levee::sqlite::table_source<int, counter> table({.path = folder + "/views.db", .table = "views"});
    counter total = 0;
    counter total_acknowledged = 0;
    for (int page = 0; page < pages; ++page) {
        const auto row = table.load({{.key = page}}).at(0).value.value_or(0);
        total += row;
        total_acknowledged += acknowledged[page];
        // A view that was safe and not yet acknowledged may be there: one for each visitor.
        all_agree = all_agree && row >= acknowledged[page] && row <= acknowledged[page] + threads;
    }
    std::printf("in the table: %lld views, acknowledged: %lld; every page agrees: %s\n",
                static_cast<long long>(total), static_cast<long long>(total_acknowledged),
                all_agree ? "yes" : "NO");
    std::filesystem::remove_all(folder);
    return all_agree && total <= total_acknowledged + threads ? 0 : 1;
}
