// The journal's end while others are at it, and failures that are asked about late.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "journal_support.hpp"
#include "levee/core/error.hpp"

namespace {

using namespace levee::tests;
using levee::bytes;
using levee::bytes_view;
using levee::journal_sync;

/// A disk whose next sync of a file hangs while a test wants it to, and which tells when a file is closed
/// meanwhile.
class hanging_disk final : public levee::journal_files {
public:
    std::unique_ptr<levee::journal_lock> lock() override { return disk_.lock(); }
    std::unique_ptr<levee::journal_file> create(const std::string& name, std::uint64_t size) override {
        return std::make_unique<file>(*this, disk_.create(name, size));
    }
    bytes read(const std::string& name) override { return disk_.read(name); }
    std::vector<std::string> list() override { return disk_.list(); }
    void rename(const std::string& from, const std::string& to) override { disk_.rename(from, to); }
    void remove(const std::string& name) override { disk_.remove(name); }
    void sync_folder() override { disk_.sync_folder(); }
    std::string name() const override { return disk_.name(); }

    std::atomic<bool> hangs{false}, is_hanging{false}, is_closed_in_use{false};

private:
    class file final : public levee::journal_file {
    public:
        file(hanging_disk& on, std::unique_ptr<levee::journal_file> real) : on_(on), real_(std::move(real)) {}
        ~file() override {
            if (is_in_use_) {
                on_.is_closed_in_use = true;
            }
        }
        file(const file&) = delete;
        file& operator=(const file&) = delete;
        std::size_t write(bytes_view data) override { return real_->write(data); }
        void sync() override {
            is_in_use_ = true;
            if (on_.hangs) {
                on_.is_hanging = true;
                on_.is_hanging.notify_all();
                on_.hangs.wait(true);
            }
            if (!on_.is_closed_in_use) {
                real_->sync();
                is_in_use_ = false;
            }
        }

    private:
        hanging_disk& on_;
        std::unique_ptr<levee::journal_file> real_;
        std::atomic<bool> is_in_use_{false};
    };
    power_loss_files disk_{};
};

// With `off`, close itself syncs nothing: who waits for the medium leads right after it, while it tells.
TEST(journal_close, waits_for_a_sync_that_begins_beside_it) {
    const auto disk = std::make_shared<hanging_disk>();
    auto options = on(disk);
    options.sync = journal_sync::off;
    opened one(options);
    const std::uint64_t first = one.put("a");
    std::thread syncing;
    one.log->when_durable(first, [&](const std::exception_ptr&) {
        // Told by close, without the lock.
        disk->hangs = true;
        syncing = std::thread([&] { one.log->sync(soon()); });
        disk->is_hanging.wait(false);
    });
    std::atomic<bool> is_closed{false};
    std::thread closing([&] {
        one.log->close();
        is_closed = true;
    });
    disk->is_hanging.wait(false);
    for (int i = 0; i < 10'000 && !is_closed; ++i) {  // long enough for a close that does not wait
        std::this_thread::yield();
    }
    EXPECT_FALSE(is_closed);
    EXPECT_FALSE(disk->is_closed_in_use);
    disk->hangs = false;
    disk->hangs.notify_all();
    closing.join();
    syncing.join();
    EXPECT_FALSE(disk->is_closed_in_use);
}

TEST(journal_close, a_failure_is_remembered_however_many_follow) {
    const auto disk = std::make_shared<power_loss_files>();
    opened one(on(disk));
    const std::uint64_t first = one.put("a");
    for (int i = 0; i < 4'200; ++i) {
        disk->fail_writes(2);
        EXPECT_THROW(one.put_safely("fails"), levee::error);
        const std::uint64_t safe = one.put_safely("safe");
        one.log->release(safe);
    }
    EXPECT_THROW(one.log->wait_durable(first, soon()), levee::error);
}

}  // namespace
