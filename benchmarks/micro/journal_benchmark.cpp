// What a record costs in the journal: the append alone, and until it is on the medium, alone and in company,
// beside a write and a sync of its own each. Records of 100 bytes, in a folder of the working directory's
// disk.
#include "levee/journal/journal.hpp"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;

/// A folder below the working directory: /tmp may be memory, which syncs for nothing.
class scratch_folder {
public:
    scratch_folder() {
        std::string name = (std::filesystem::current_path() / "levee-journal-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("cannot make " + name);
        }
        path = name;
    }
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;

    std::string path{};
};

const std::string record(100, 'x');

/// One journal for all threads of a benchmark.
struct shared_journal {
    explicit shared_journal(levee::journal_sync sync)
        : log({.folder = folder.path + "/journal", .sync = sync, .max_bytes = 0},
              [](std::uint64_t, levee::bytes_view) {}) {}

    scratch_folder folder{};
    levee::journal log;
};

std::unique_ptr<shared_journal> journal_now;

void open_always(const benchmark::State&) {
    journal_now = std::make_unique<shared_journal>(levee::journal_sync::always);
}
void open_every(const benchmark::State&) {
    journal_now = std::make_unique<shared_journal>(levee::journal_sync::every);
}
void close_it(const benchmark::State&) {
    journal_now.reset();
}

/// Appended and released, never waited for: what `every` and `off` cost the writer, but for the write of each
/// thousandth.
void append(benchmark::State& state) {
    std::uint64_t count = 0;
    for (auto _ : state) {
        const auto sequence = journal_now->log.append(levee::as_bytes(record));
        journal_now->log.release(sequence);
        if (++count % 1000 == 0) {
            journal_now->log.wait_durable(sequence, levee::clock::precise().now() + 1min);
        }
    }
}
BENCHMARK(append)
    ->Name("journal_append/levee")
    ->Setup(open_every)
    ->Teardown(close_it)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();

/// Until the kernel has it.
void append_written(benchmark::State& state) {
    for (auto _ : state) {
        const auto sequence = journal_now->log.append(levee::as_bytes(record));
        journal_now->log.wait_durable(sequence, levee::clock::precise().now() + 1min);
        journal_now->log.release(sequence);
    }
}
BENCHMARK(append_written)
    ->Name("journal_written/levee_every_10ms")
    ->Setup(open_every)
    ->Teardown(close_it)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();

/// Until it is on the medium.
void append_durable(benchmark::State& state) {
    for (auto _ : state) {
        const auto sequence = journal_now->log.append(levee::as_bytes(record));
        journal_now->log.wait_durable(sequence, levee::clock::precise().now() + 1min);
        journal_now->log.release(sequence);
    }
    if (state.thread_index() == 0) {
        state.counters["records_per_sync"] = journal_now->log.stats().records_per_sync();
    }
}
BENCHMARK(append_durable)
    ->Name("journal_durable/levee")
    ->Setup(open_always)
    ->Teardown(close_it)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();

/// 256 asynchronous writers on one thread: each appends again when its record is safe. The time is a
/// record's.
void append_async(benchmark::State& state) {
    constexpr std::size_t writers = 256;
    auto& log = journal_now->log;
    std::size_t served = writers;
    for (auto _ : state) {
        if (served == writers) {  // one round of all of them
            served = 0;
            for (std::size_t i = 0; i < writers; ++i) {
                const auto sequence = log.append(levee::as_bytes(record));
                log.when_durable(sequence, [&log, sequence](std::exception_ptr) { log.release(sequence); });
            }
            log.run_sync();
        }
        ++served;
    }
    state.counters["records_per_sync"] = log.stats().records_per_sync();
}
BENCHMARK(append_async)
    ->Name("journal_durable/levee_256_async")
    ->Setup(open_always)
    ->Teardown(close_it)
    ->UseRealTime();

/// A write and an fdatasync for each record, one after the other, on a file that grows.
struct plain_file {
    scratch_folder folder{};
    int file = ::open((folder.path + "/plain").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    std::mutex mutex{};

    plain_file() = default;
    ~plain_file() { ::close(file); }
    plain_file(const plain_file&) = delete;
    plain_file& operator=(const plain_file&) = delete;
};

std::unique_ptr<plain_file> plain_now;
void open_plain(const benchmark::State&) {
    plain_now = std::make_unique<plain_file>();
}
void close_plain(const benchmark::State&) {
    plain_now.reset();
}

void one_sync_each(benchmark::State& state) {
    for (auto _ : state) {
        const std::lock_guard lock(plain_now->mutex);
        if (::write(plain_now->file, record.data(), record.size()) != static_cast<ssize_t>(record.size()) ||
            ::fdatasync(plain_now->file) != 0) {
            state.SkipWithError("the disk refuses");
            return;
        }
    }
}
BENCHMARK(one_sync_each)
    ->Name("journal_durable/reference_one_sync_each")
    ->Setup(open_plain)
    ->Teardown(close_plain)
    ->Threads(1)
    ->Threads(8)
    ->UseRealTime();

}  // namespace
