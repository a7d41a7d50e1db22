/// A disk in memory whose power can be cut, which fails, fills up and tears writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/journal/journal_files.hpp"

namespace levee::testing {

/// What is on the medium, when the power goes, of what had not been synced.
enum class power_loss : std::uint8_t {
    none,       ///< All: only the process died, the kernel lived on.
    unsynced,   ///< Nothing.
    torn,       ///< Of each file and of the changes of names: a prefix that ends anywhere, at any byte.
    reordered,  ///< Any pages of 512 bytes, the others read as zeros; any changes of names.
};

/// A folder for `journal_options::files` that knows what a power loss would leave: a file's bytes count when
/// the file was synced, its name when the folder was. A sync that fails leaves the file as Linux does: the
/// unsynced bytes are not on the medium, can still be read until the power goes, and count as clean, so that
/// a later sync succeeds and does not write them.
///
///     auto disk = std::make_shared<levee::testing::power_loss_files>(seed);
///     disk->cut_power_at(disk->operations() + 7);   // in the midst of the 7th operation from now
///     …                                             // use it until it throws, destroy the journal
///     disk->power_on(levee::testing::power_loss::torn);
///     levee::journal again({.files = disk}, …);     // what is left?
///
/// Operations that count: create, write, sync, rename, remove, sync_folder. Thread safety: safe.
class power_loss_files final : public journal_files {
public:
    explicit power_loss_files(std::uint64_t seed = 1);
    ~power_loss_files() override;

    [[nodiscard]] std::unique_ptr<journal_lock> lock() override;
    [[nodiscard]] std::unique_ptr<journal_file> create(const std::string& name,
                                                       std::uint64_t expected_size) override;
    [[nodiscard]] bytes read(const std::string& name) override;
    [[nodiscard]] std::vector<std::string> list() override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& name) override;
    void sync_folder() override;
    [[nodiscard]] std::string name() const override { return "(memory)"; }

    /// Operations begun so far.
    [[nodiscard]] std::uint64_t operations() const;

    /// The power goes during the operation of that number (counted from 1); if it is a write, some of its
    /// bytes have reached the kernel. That call and all later ones throw std::errc::io_error. 0: not at all.
    void cut_power_at(std::uint64_t operation);
    /// Now. Also the way to kill a process: `power_on(power_loss::none)` lets the next one begin.
    void cut_power();
    [[nodiscard]] bool has_power() const;

    /// The machine, or with `none` the process, starts again: all files are closed, nothing is locked.
    void power_on(power_loss kind);

    /// The next `count` syncs, of files and of the folder, after `skipped` successful ones, fail (EIO).
    void fail_syncs(std::uint64_t count, std::uint64_t skipped = 0);
    /// The next `count` writes fail (EIO).
    void fail_writes(std::uint64_t count);
    /// All files together hold no more than this: writes get shorter, then fail with ENOSPC.
    void set_capacity(std::uint64_t capacity);
    /// What changes anything fails with EROFS, lock included.
    void set_read_only(bool is_read_only);
    /// Writes take only some of the bytes.
    void set_short_writes(bool are_short);

    /// Makes `content` what the file holds, on the medium as well. The file need not exist.
    void plant(const std::string& name, bytes content);

private:
    class file;
    class folder_lock;
    struct node {
        bytes content{};  // as the kernel shows it
        bytes medium{};
        std::size_t clean = 0;  // content before it counts as written
    };
    struct change {
        std::string from{};  // empty: a new name
        std::string to{};    // empty: removed
        std::shared_ptr<node> made{};
    };
    using names = std::map<std::string, std::shared_ptr<node>>;

    void begin_operation_locked(bool is_change);
    void check_power_locked() const;
    void lose_locked(node& of, power_loss kind);
    static void apply(names& to, const change& one);
    std::size_t write(node& to, std::uint64_t life, bytes_view data);
    void sync(node& of, std::uint64_t life);
    bool is_sync_failing_locked();
    std::uint64_t below_locked(std::uint64_t bound);

    mutable std::mutex mutex_;  // guards all
    xoshiro256 random_;
    names live_{};
    names durable_{};
    std::vector<change> changes_{};  // live_ is durable_ with these
    std::uint64_t life_ = 1;         // of the process: files of earlier ones are dead
    bool is_locked_ = false;
    bool has_power_ = true;
    std::uint64_t operations_ = 0;
    std::uint64_t cut_at_ = 0;
    std::uint64_t failing_syncs_ = 0, skipped_syncs_ = 0, failing_writes_ = 0;
    std::uint64_t capacity_ = ~std::uint64_t{0};
    bool is_read_only_ = false;
    bool are_writes_short_ = false;
};

}  // namespace levee::testing
