#include "levee/store/memory_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "levee/testing/manual_clock.hpp"
#include "levee/testing/remote_store_contract.hpp"
#include "support/contract_names.hpp"

namespace {

using namespace std::chrono_literals;
using levee::lease_outcome;
using levee::memory_store;
using levee::remote_entry;
using levee::testing::contract_violation;
using levee::testing::remote_store_contract;
using levee::testing::remote_store_under_test;

remote_entry entry_for(levee::duration fresh) {
    remote_entry made;
    made.fresh_left = fresh;
    return made;
}

// Only the awaitable forms of another store, so that the interface's own blocking ones are run.
class awaitable_only final : public levee::remote_store {
public:
    explicit awaitable_only(const levee::memory_store_options& options) : inner_(options) {}
    [[nodiscard]] levee::remote_capabilities capabilities() const override { return inner_.capabilities(); }
    awaitable<std::vector<std::optional<remote_entry>>> async_get(std::vector<std::string> keys) override {
        return inner_.async_get(std::move(keys));
    }
    awaitable<levee::lease_answer> async_get_or_lease(levee::lease_request request) override {
        return inner_.async_get_or_lease(std::move(request));
    }
    awaitable<bool> async_fill(std::string key, std::uint64_t token, remote_entry entry) override {
        return inner_.async_fill(std::move(key), token, std::move(entry));
    }
    awaitable<bool> async_extend(std::string key, std::uint64_t token, levee::duration lease) override {
        return inner_.async_extend(std::move(key), token, lease);
    }
    awaitable<void> async_release(std::string key, std::uint64_t token) override {
        return inner_.async_release(std::move(key), token);
    }
    awaitable<void> async_put(std::string key, remote_entry entry) override {
        return inner_.async_put(std::move(key), std::move(entry));
    }
    awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override {
        return inner_.async_put_if_newer(std::move(key), std::move(entry));
    }
    awaitable<std::uint64_t> async_begin_write(std::string key, levee::duration lease) override {
        return inner_.async_begin_write(std::move(key), lease);
    }
    awaitable<void> async_erase(std::vector<std::string> keys) override {
        return inner_.async_erase(std::move(keys));
    }
    awaitable<void> async_expire(std::string key) override { return inner_.async_expire(std::move(key)); }
    awaitable<bool> async_touch(std::string key, levee::duration fresh, levee::duration stale) override {
        return inner_.async_touch(std::move(key), fresh, stale);
    }
    awaitable<levee::remote_marks> async_marks(std::string name_space) override {
        return inner_.async_marks(std::move(name_space));
    }
    awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override {
        return inner_.async_mark(std::move(name_space), std::move(what));
    }

    void lose_data() { inner_.lose_data(); }

private:
    memory_store inner_;
};

struct memory_stores : testing::Test {
    levee::testing::manual_clock clock;
    memory_store store{{.max_entries = 1000, .clock = &clock}};
};

class remote_store_rules : public testing::TestWithParam<levee::testing::remote_store_case> {};

TEST_P(remote_store_rules, hold_for_memory_store_and_for_its_awaitable_forms) {
    levee::testing::manual_clock clock;
    const levee::memory_store_options options{.max_entries = 1000, .clock = &clock};
    remote_store_under_test subject;
    subject.pass = [&clock](levee::duration time) { clock.advance(time); };
    const auto blocking = std::make_shared<memory_store>(options);
    subject.store = blocking;
    subject.lose_data = [blocking] { blocking->lose_data(); };
    GetParam().run(subject, "k");
    const auto awaitable = std::make_shared<awaitable_only>(options);
    subject.store = awaitable;
    subject.lose_data = [awaitable] { awaitable->lose_data(); };
    GetParam().run(subject, "k");
}

INSTANTIATE_TEST_SUITE_P(contract, remote_store_rules, testing::ValuesIn(remote_store_contract()),
                         [](const auto& instance) { return instance.param.name; });

// Stores with a fault each, to see that the contract finds it.
template <class Fault>
class faulty final : public levee::remote_store {
public:
    faulty(const levee::memory_store_options& options, Fault fault) : options_(options), fault_(fault) {}
    [[nodiscard]] levee::remote_capabilities capabilities() const override { return inner_->capabilities(); }
    awaitable<std::vector<std::optional<remote_entry>>> async_get(std::vector<std::string> keys) override {
        return inner_->async_get(std::move(keys));
    }
    awaitable<levee::lease_answer> async_get_or_lease(levee::lease_request request) override {
        return inner_->async_get_or_lease(std::move(request));
    }
    awaitable<bool> async_fill(std::string key, std::uint64_t token, remote_entry entry) override {
        if (fault_ == Fault::fills_without_token) {
            co_await inner_->async_put(key, entry);
            co_return true;
        }
        const bool filled = co_await inner_->async_fill(std::move(key), token, std::move(entry));
        co_return filled;
    }
    awaitable<bool> async_extend(std::string key, std::uint64_t token, levee::duration lease) override {
        if (fault_ == Fault::does_not_extend) {
            co_return true;
        }
        const bool extended = co_await inner_->async_extend(std::move(key), token, lease);
        co_return extended;
    }
    awaitable<void> async_release(std::string key, std::uint64_t token) override {
        if (fault_ == Fault::releases_by_erasing) {
            std::vector<std::string> keys(1, key);
            co_await inner_->async_erase(std::move(keys));
        }
        co_await inner_->async_release(std::move(key), token);
    }
    awaitable<void> async_put(std::string key, remote_entry entry) override {
        if (fault_ == Fault::puts_under_the_lease) {
            auto lease = inner_->get_or_lease({.key = key, .lease = 1h, .even_if_fresh = true});
            if (lease.what == lease_outcome::busy) {
                co_return;
            }
        }
        co_await inner_->async_put(std::move(key), std::move(entry));
    }
    awaitable<bool> async_put_if_newer(std::string key, remote_entry entry) override {
        if (fault_ == Fault::ignores_versions) {
            co_await inner_->async_put(std::move(key), std::move(entry));
            co_return true;
        }
        const bool newer = co_await inner_->async_put_if_newer(std::move(key), std::move(entry));
        co_return newer;
    }
    awaitable<std::uint64_t> async_begin_write(std::string key, levee::duration lease) override {
        if (fault_ == Fault::writes_without_dropping) {
            auto answer = inner_->get_or_lease({.key = key, .lease = lease, .even_if_fresh = true});
            co_return answer.token;
        }
        const std::uint64_t token = co_await inner_->async_begin_write(std::move(key), lease);
        co_return token;
    }
    awaitable<void> async_erase(std::vector<std::string> keys) override {
        return inner_->async_erase(std::move(keys));
    }
    awaitable<void> async_expire(std::string key) override {
        if (fault_ == Fault::expires_by_erasing) {
            inner_->erase({key});
        } else if (fault_ == Fault::expires_entries_only && !inner_->get({key}).front()) {
            co_return;
        }
        inner_->expire(std::move(key));
    }
    awaitable<bool> async_touch(std::string key, levee::duration fresh, levee::duration stale) override {
        if (fault_ == Fault::touches_by_putting) {
            auto held = inner_->get({key}).front();
            if (held) {
                held->fresh_left = fresh;
                held->stale_left = stale;
                inner_->put(key, *held);
            }
            co_return held.has_value();
        }
        co_return inner_->touch(std::move(key), fresh, stale);
    }
    awaitable<levee::remote_marks> async_marks(std::string name_space) override {
        auto found = inner_->marks(std::move(name_space));
        if (fault_ == Fault::does_not_mark_all_at_first) {
            std::erase_if(found.marks, [](const auto& mark) { return mark.first.empty(); });
        }
        co_return found;
    }
    awaitable<std::uint64_t> async_mark(std::string name_space, std::string what) override {
        if (fault_ == Fault::marks_one_namespace) {
            name_space = "all";
        }
        return inner_->async_mark(std::move(name_space), std::move(what));
    }

    void lose_data() {
        if (fault_ == Fault::counts_anew_after_a_loss) {
            inner_ = std::make_unique<memory_store>(options_);
        } else {
            inner_->lose_data();
        }
    }

private:
    levee::memory_store_options options_;
    std::unique_ptr<memory_store> inner_ = std::make_unique<memory_store>(options_);
    Fault fault_;
};

enum class fault {
    none,
    fills_without_token,
    does_not_extend,
    releases_by_erasing,
    puts_under_the_lease,
    ignores_versions,
    writes_without_dropping,
    expires_by_erasing,
    expires_entries_only,
    touches_by_putting,
    does_not_mark_all_at_first,
    counts_anew_after_a_loss,
    marks_one_namespace
};

bool meets_the_contract(fault which) {
    levee::testing::manual_clock clock;
    const auto store = std::make_shared<faulty<fault>>(
        levee::memory_store_options{.max_entries = 1000, .clock = &clock}, which);
    const remote_store_under_test subject{.store = store,
                                          .pass = [&clock](levee::duration time) { clock.advance(time); },
                                          .lose_data = [store] { store->lose_data(); }};
    try {
        for (const auto& rule : remote_store_contract()) {
            rule.run(subject, rule.name);
        }
        return true;
    } catch (const contract_violation&) {
        return false;
    }
}

TEST(remote_store_contracts, find_each_planted_fault) {
    EXPECT_TRUE(meets_the_contract(fault::none));
    for (int which = 1; which <= static_cast<int>(fault::marks_one_namespace); ++which) {
        EXPECT_FALSE(meets_the_contract(static_cast<fault>(which))) << which;
    }
}

TEST_F(memory_stores, never_hold_more_than_their_bound_and_drop_what_was_unused_longest) {
    memory_store small({.max_entries = 3, .clock = &clock});
    for (const auto* const key : {"a", "b", "c"}) {
        small.put(key, entry_for(1h));
    }
    EXPECT_TRUE(small.get({"a"}).front());
    small.put("d", entry_for(1h));
    EXPECT_EQ(small.size(), 3u);
    const auto found = small.get({"a", "b", "c", "d"});
    EXPECT_TRUE(found[0] && !found[1] && found[2] && found[3]);
    const auto lease = small.get_or_lease({.key = "e", .lease = 1s});
    EXPECT_EQ(lease.what, lease_outcome::granted);
    EXPECT_EQ(small.size(), 3u) << "leases count as well";
}

TEST_F(memory_stores, hold_nothing_for_keys_whose_lease_and_life_ended) {
    const auto lease = store.get_or_lease({.key = "k", .lease = 1s});
    store.release("k", lease.token);
    EXPECT_EQ(store.size(), 0u);
    store.put("k", entry_for(1s));
    clock.advance(2s);
    EXPECT_FALSE(store.get({"k"}).front());
    EXPECT_EQ(store.size(), 0u);
}

TEST_F(memory_stores, that_lost_their_data_void_leases_and_go_on_counting) {
    store.put("k", entry_for(1h));
    const auto lease = store.get_or_lease({.key = "l", .lease = 1h});
    const auto before = store.mark("ns", "tag");
    store.lose_data();
    EXPECT_FALSE(store.get({"k"}).front());
    EXPECT_FALSE(store.fill("l", lease.token, entry_for(1h)));
    const auto marks = store.marks("ns");
    EXPECT_GT(marks.count, before) << "no stamp given before is valid by chance";
    ASSERT_EQ(marks.marks.size(), 1u);
    EXPECT_EQ(marks.marks.front().first, "") << "all that was stamped before is invalid";
    EXPECT_EQ(marks.marks.front().second, marks.count);
}

TEST_F(memory_stores, refuse_leases_without_length_and_a_bound_of_none) {
    EXPECT_THROW(static_cast<void>(store.get_or_lease({.key = "k", .lease = 0s})), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(store.begin_write("k", -1s)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(store.extend("k", 1, 0s)), std::invalid_argument);
    EXPECT_THROW(memory_store({.max_entries = 0}), std::invalid_argument);
}

TEST_F(memory_stores, grant_one_lease_among_threads) {
    std::atomic<int> granted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                const auto answer = store.get_or_lease({.key = std::to_string(i), .lease = 1h});
                granted += answer.what == lease_outcome::granted ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(granted.load(), 200);
}

}  // namespace
