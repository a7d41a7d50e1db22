// Death by kill -9 over SQLite, and what else must outlive a process.
#include <gtest/gtest.h>

#include "levee/sqlite/table_source.hpp"
#include "levee/store/source_from.hpp"
#include "support/child_process.hpp"
#include "support/temp_dir.hpp"
#include "support/write_behind_crash.hpp"

namespace levee::tests {
namespace {

using namespace std::chrono_literals;

make_source table_in(const std::string& path) {
    return [path](runtime&) {
        return std::make_shared<sqlite::table_source<int, number>>(sqlite::table_options{
            .path = path, .table = "numbers", .create_if_missing = true, .sync_every_commit = false});
    };
}

TEST(write_behind_crash, kill_9_over_sqlite_loses_nothing_that_was_acknowledged) {
    const temp_dir dir;
    kill_again_and_again(table_in(dir / "db"), dir / "journal", 40);
}

TEST(write_behind_crash, long_kill_9_over_sqlite_a_thousand_times) {
    const temp_dir dir;
    kill_again_and_again(table_in(dir / "db"), dir / "journal", 1000);
}

TEST(write_behind_crash, dead_letters_outlive_the_process) {
    const temp_dir dir;
    const auto make = table_in(dir / "db");
    const auto refusing = [](const std::shared_ptr<numbers>& db) {
        return source_from<int, number>([db](const int& key) { return db->load({{.key = key}}).at(0); },
                                        [db](const write_op<int, number>& write) {
                                            if (write.value == 13) {
                                                throw error(errc::invalid_data, "unlucky");
                                            }
                                            (void)db->store({write});
                                        });
    };
    const child writer = begin([&](int out) {
        runtime on(1, 2);
        write_behind<int, number> cache(refusing(make(on)), plain(on), journaled(dir / "journal", 1));
        cache.put(1, 13);
        cache.put(2, 13);
        cache.put(3, 3);
        cache.flush(30s);
        cache.put(2, 2);  // newer than the letter
        cache.flush(30s);
        const report line{};
        (void)!::write(out, &line, sizeof(line));
        ::pause();
    });
    std::array<std::int64_t, key_count> none{};
    follow(writer, 1, none);

    runtime on(1, 2);
    const auto db = make(on);
    std::uint64_t id = 0;
    {
        write_behind<int, number> cache(refusing(db), plain(on), journaled(dir / "journal", 1));
        ASSERT_TRUE(cache.flush(30s));
        const auto letters = cache.dead_letters();
        ASSERT_EQ(letters.size(), 2U);
        EXPECT_EQ(letters[0].operation.key, 1);
        EXPECT_EQ(letters[0].operation.value, 13);
        EXPECT_EQ(letters[0].code, errc::invalid_data);
        EXPECT_NE(letters[0].reason.find("unlucky"), std::string::npos);
        EXPECT_FALSE(letters[0].is_superseded);
        EXPECT_TRUE(letters[1].is_superseded);
        EXPECT_FALSE(cache.redrive(letters[1].id));
        EXPECT_TRUE(cache.discard(letters[1].id));
        id = letters[0].id;
    }
    {
        write_behind<int, number> cache(db, plain(on), journaled(dir / "journal", 1));
        ASSERT_EQ(cache.dead_letters().size(), 1U);
        EXPECT_TRUE(cache.redrive(id));  // whatever was wrong was mended
        EXPECT_TRUE(cache.close(30s));
    }
    {
        write_behind<int, number> cache(db, plain(on), journaled(dir / "journal", 1));
        EXPECT_TRUE(cache.dead_letters().empty());
    }
    EXPECT_EQ(db->load({{.key = 1}}).at(0).value, 13);
    EXPECT_EQ(db->load({{.key = 2}}).at(0).value, 2);
}

TEST(write_behind_crash, what_a_second_owner_gave_up_is_not_given_up_again_by_a_third) {
    const temp_dir dir;
    const auto failing = [](errc unlucky, errc others) {
        return source_from<int, number>([](const int&) { return std::optional<number>(); },
                                        [=](const write_op<int, number>& write) {
                                            const errc how = write.value == 13 ? unlucky : others;
                                            if (how != errc::closed) {  // which stands for none
                                                throw error(how);
                                            }
                                        });
    };
    const auto die_after = [&](errc unlucky, bool is_first) {
        const child writer = begin([&](int out) {
            runtime on(1, 2);
            write_behind<int, number> cache(failing(unlucky, errc::unavailable), plain(on),
                                            journaled(dir / "journal", 2));
            if (is_first) {
                cache.put(2, 2);  // pending in both lives: so the other's record is still there, too
                cache.put(1, 13);
            } else {
                poll_until([&] { return cache.stats().pending == 1; }, 30s);
            }
            const report line{};
            (void)!::write(out, &line, sizeof(line));
            ::pause();
        });
        std::array<std::int64_t, key_count> none{};
        follow(writer, 1, none);
    };
    die_after(errc::unavailable, true);
    die_after(errc::invalid_data, false);
    runtime on(1, 2);
    write_behind<int, number> cache(failing(errc::invalid_data, errc::closed), plain(on),
                                    journaled(dir / "journal", 2));
    ASSERT_EQ(cache.dead_letters().size(), 1U);
    ASSERT_TRUE(cache.flush(30s));
    EXPECT_EQ(cache.dead_letters().size(), 1U);
}

TEST(write_behind_crash, a_journal_has_one_owner) {
    const temp_dir dir;
    runtime on(1, 2);
    write_behind<int, number> cache(table_in(dir / "db")(on), plain(on), journaled(dir / "journal", 1));
    try {
        write_behind<int, number> second(table_in(dir / "db")(on), plain(on), journaled(dir / "journal", 1));
        FAIL();
    } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::unavailable);
    }
}

}  // namespace
}  // namespace levee::tests
