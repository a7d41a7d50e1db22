// redis::backplane against a real server, through a proxy that cuts and silences its link.
#include "levee/redis/backplane.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "levee/async/runtime.hpp"
#include "levee/redis/error.hpp"
#include "levee/testing/backplane_contract.hpp"
#include "levee/testing/chaos_backplane.hpp"
#include "support/polling.hpp"
#include "support/redis_fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace levee::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::testing::backplane_contract;
using levee::testing::backplane_under_test;
using tests::comes_true;
using tests::proxy_mode;
using tests::tcp_proxy;

backplane_message about(std::string name, change what = change::invalidated) {
    backplane_message made;
    made.what = what;
    made.name_space = "n";
    made.name = std::move(name);
    made.sender = 7;
    return made;
}

class redis_backplane : public tests::redis_fixture {
protected:
    void SetUp() override {
        redis_fixture::SetUp();
        if (!IsSkipped()) {
            proxy_ = std::make_unique<tcp_proxy>(server().port());
        }
    }

    std::shared_ptr<client> connect(std::uint16_t port, duration timeout = 20s) {
        return redis_fixture::connect(timeout, port);
    }
    std::shared_ptr<backplane> make(std::shared_ptr<client> over, backplane_options options = {}) {
        options.ping_interval = 100ms;
        options.ping_timeout = 200ms;
        auto made = std::make_shared<backplane>(std::move(over), options);
        EXPECT_TRUE(made->wait_subscribed(20s));
        return made;
    }

    void meets_contract(backplane_under_test subject, const std::string& prefix) {
        subject.settle = [](const std::function<bool()>& is_so) { static_cast<void>(comes_true(is_so)); };
        subject.fresh_for = 300ms;
        subject.pass = [](duration time) { std::this_thread::sleep_for(time); };
        for (const auto& rule : backplane_contract()) {
            SCOPED_TRACE(rule.name);
            EXPECT_NO_THROW(rule.run(subject, prefix + rule.name));
        }
    }

    std::unique_ptr<tcp_proxy> proxy_;
};

// What one subscription has heard.
class listener {
public:
    explicit listener(levee::backplane& link)
        : subscription_(link.subscribe(
              [this](const backplane_message& heard) {
                  const std::lock_guard lock(mutex_);
                  names_.push_back(heard.name);
              },
              [this] {
                  const std::lock_guard lock(mutex_);
                  ++gaps_;
              })) {}
    [[nodiscard]] std::vector<std::string> names() const {
        const std::lock_guard lock(mutex_);
        return names_;
    }
    [[nodiscard]] bool has_heard(const std::string& name) const {
        const auto all = names();
        return std::find(all.begin(), all.end(), name) != all.end();
    }
    [[nodiscard]] int gaps() const {
        const std::lock_guard lock(mutex_);
        return gaps_;
    }

private:
    mutable std::mutex mutex_{};  // guards both below
    std::vector<std::string> names_{};
    int gaps_ = 0;
    backplane_subscription subscription_;  // the last: its end comes first
};

TEST_F(redis_backplane, meets_the_contract_with_a_link_that_is_silenced) {
    meets_contract({.one = make(connect(server().port())),
                    .two = make(connect(proxy_->port(), 300ms)),
                    .cut = [this] { proxy_->set(proxy_mode::is_silent); },
                    .heal = [this] { proxy_->set(proxy_mode::works); }},
                   "silence:");
}

TEST_F(redis_backplane, meets_the_contract_with_a_link_that_is_reset) {
    meets_contract({.one = make(connect(server().port())),
                    .two = make(connect(proxy_->port(), 300ms)),
                    .cut = [this] { proxy_->set(proxy_mode::refuses); },
                    .heal = [this] { proxy_->set(proxy_mode::works); }},
                   "reset:");
}

TEST_F(redis_backplane, meets_the_contract_by_coroutines_and_behind_chaos) {
    const auto time = async::steady_scheduler(rt_.get_executor());
    const auto behind = [&](std::uint64_t seed) {
        return std::make_shared<levee::testing::chaos_backplane>(
            make(connect(server().port())), time,
            levee::testing::chaos_backplane_options{.seed = seed,
                                                    .delivery_delay = 5ms,
                                                    .publish_delay = 2ms,
                                                    .duplicate = 0.2,
                                                    .ping_interval = 100ms,
                                                    .ping_timeout = 200ms});
    };
    meets_contract(
        {.one = behind(1),
         .two = behind(2),
         .publish =
             [this](levee::backplane& link, const backplane_message& message) {
                 asio::co_spawn(rt_.get_executor(), link.async_publish(message), asio::use_future).get();
             }},
        "chaos:");
}

TEST_F(redis_backplane, tells_a_gap_to_who_subscribed_before_it_stood) {
    proxy_->set(proxy_mode::refuses);
    backplane late(connect(proxy_->port()));
    const listener heard(late);
    EXPECT_EQ(late.fresh_until(), time_point::min());
    proxy_->set(proxy_mode::works);
    EXPECT_TRUE(comes_true([&] { return heard.gaps() == 1; }));
}

TEST_F(redis_backplane, tells_a_gap_when_the_server_was_restarted_and_hears_again) {
    const auto link = make(connect(server().port()));
    const listener heard(*link);
    for (int i = 1; i <= 2; ++i) {
        server().kill();
        server().start();
        EXPECT_TRUE(comes_true([&] { return heard.gaps() >= i; }));
        EXPECT_TRUE(comes_true([&] { return link->fresh_until() > clock::precise().now(); }));
        link->publish(about(std::to_string(i)));
        EXPECT_TRUE(comes_true([&] { return heard.has_heard(std::to_string(i)); }));
    }
}

TEST_F(redis_backplane, is_not_fresh_while_the_server_is_stopped) {
    const auto link = make(connect(server().port()));
    server().pause();
    EXPECT_TRUE(comes_true([&] { return link->fresh_until() <= clock::precise().now(); }));
    server().resume();
    EXPECT_TRUE(comes_true([&] { return link->fresh_until() > clock::precise().now(); }));
}

TEST_F(redis_backplane, sends_later_what_could_not_be_sent_the_newest_of_each_key) {
    const auto link = make(connect(proxy_->port(), 50ms));
    const auto other = make(connect(server().port()));
    const listener heard(*other);
    link->publish(about("first"));
    EXPECT_TRUE(comes_true([&] { return heard.has_heard("first"); }));
    proxy_->set(proxy_mode::refuses);
    for (int i = 0; i < 5; ++i) {
        EXPECT_THROW(link->publish(about("a")), levee::error);
    }
    EXPECT_THROW(link->publish(about("b")), levee::error);
    EXPECT_THROW(link->publish(about("c", change::filled)), levee::error);
    EXPECT_EQ(link->stats().unsent, 2U);
    proxy_->set(proxy_mode::works);
    EXPECT_TRUE(comes_true([&] { return heard.has_heard("a") && heard.has_heard("b"); }));
    EXPECT_TRUE(comes_true([&] { return link->stats().unsent == 0; }));
    EXPECT_LE(heard.names().size(), 5U) << "each once, or twice if it had got through";
    EXPECT_FALSE(heard.has_heard("c"));
    EXPECT_GE(heard.gaps(), 1) << "numbers are missing";
}

TEST_F(redis_backplane, tells_the_others_that_everything_may_have_changed_when_too_much_is_unsent) {
    const auto link = make(connect(proxy_->port(), 20ms), {.max_unsent = 3});
    const auto other = make(connect(server().port()));
    const listener heard(*other);
    proxy_->set(proxy_mode::refuses);
    for (int i = 0; i < 6; ++i) {
        EXPECT_THROW(link->publish(about(std::to_string(i))), levee::error);
    }
    EXPECT_EQ(link->stats().unsent, 1U);
    EXPECT_EQ(heard.gaps(), 0);
    proxy_->set(proxy_mode::works);
    EXPECT_TRUE(comes_true([&] { return heard.gaps() > 0; }));
    EXPECT_TRUE(comes_true([&] { return link->stats().unsent == 0; }));
}

TEST_F(redis_backplane, ignores_what_is_foreign_and_tells_a_gap_for_what_it_cannot_read) {
    const auto link = make(connect(server().port()));
    const auto db = connect(server().port());
    const listener heard(*link);
    db->publish("levee", "hello");
    db->publish("levee", "");
    EXPECT_TRUE(comes_true([&] { return link->stats().foreign == 2; }));
    EXPECT_EQ(heard.gaps(), 0);
    db->publish("levee", "LEVB\x02 of another version");
    EXPECT_TRUE(comes_true([&] { return heard.gaps() == 1; }));
    link->publish(about("a"));
    EXPECT_TRUE(comes_true([&] { return heard.has_heard("a"); }));
}

TEST_F(redis_backplane, numbers_stay_in_order_with_many_threads) {
    const auto link = make(connect(server().port()));
    const auto other = make(connect(server().port()));
    const listener heard(*other);
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 200; ++i) {
                    link->publish(about(std::to_string(t) + ":" + std::to_string(i)));
                }
            });
        }
    }
    EXPECT_TRUE(comes_true([&] { return heard.names().size() == 1600; }));
    EXPECT_EQ(heard.gaps(), 0);
}

TEST_F(redis_backplane, refuses_to_block_a_thread_of_its_executor) {
    const auto link = make(connect(server().port()));
    std::error_code code;
    asio::post(rt_.get_executor(), asio::use_future([&] {
                   try {
                       link->publish(about("a"));
                   } catch (const levee::error& e) {
                       code = e.code();
                   }
               }))
        .get();
    EXPECT_EQ(code, levee::errc::would_deadlock);
}

TEST_F(redis_backplane, refuses_wrong_options) {
    const auto db = connect(server().port());
    EXPECT_THROW(backplane(db, {.channel = ""}), std::invalid_argument);
    EXPECT_THROW(backplane(db, {.ping_interval = 0s}), std::invalid_argument);
    EXPECT_THROW(backplane(db, {.ping_timeout = -1s}), std::invalid_argument);
    EXPECT_THROW(backplane(db, {.max_unsent = 0}), std::invalid_argument);
    EXPECT_THROW(backplane(nullptr), std::invalid_argument);
}

TEST(a_redis_backplane_whose_executor_does_not_run, gives_a_publication_up_at_its_deadline) {
    asio::io_context idle;
    backplane bus(std::make_shared<client>(
        client_options{.port = 1, .executor = idle.get_executor(), .command_timeout = 20ms}));
    try {
        bus.publish(about("k"));
        ADD_FAILURE() << "nobody sends it";
    } catch (const levee::error& e) {
        EXPECT_EQ(e.code(), levee::errc::timeout);
    }
}

}  // namespace
}  // namespace levee::redis
