#include "levee/redis/client_options.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <stdexcept>
#include <string>

#include "levee/redis/subscriber.hpp"
#include "redis/establish.hpp"

namespace levee::redis {
namespace {

std::string complaint(const std::function<void(client_options&)>& change) {
    boost::asio::io_context context;
    client_options options{.executor = context.get_executor()};
    change(options);
    try {
        validate(options);
        return {};
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
}

TEST(redis_client_options, are_valid_by_default_but_for_the_executor) {
    EXPECT_EQ(complaint([](client_options&) {}), "");
    EXPECT_EQ(complaint([](client_options& o) { o.executor = {}; }),
              "client_options::executor is empty; it must be set");
}

TEST(redis_client_options, name_the_field_that_is_wrong) {
    EXPECT_EQ(complaint([](client_options& o) { o.port = 0; }),
              "client_options::port is 0; it must be in [1, 65535]");
    EXPECT_EQ(complaint([](client_options& o) { o.connections = 0; }),
              "client_options::connections is 0; it must be in [1, 1024]");
    EXPECT_EQ(complaint([](client_options& o) { o.command_timeout = {}; }),
              "client_options::command_timeout is 0 ns; it must be above zero");
    for (const auto& change : std::vector<std::function<void(client_options&)>>{
             [](client_options& o) { o.host = ""; },
             [](client_options& o) { o.connect_timeout = {}; },
             [](client_options& o) { o.max_pending = 0; },
             [](client_options& o) { o.max_pending_bytes = 0; },
             [](client_options& o) { o.max_reply_bytes = 0; },
             [](client_options& o) { o.max_reply_elements = 0; },
             [](client_options& o) { o.max_exclusive = 0; },
             [](client_options& o) { o.max_attempts = 0; },
             [](client_options& o) { o.silence_timeout = duration(-1); },
             [](client_options& o) { o.client_name = "two words"; },
             [](client_options& o) { o.user = "somebody"; },
             [](client_options& o) { o.tls.key_file = "key"; },
             [](client_options& o) { o.unix_socket = std::string(200, 'x'); },
             [](client_options& o) { o.reconnect.initial = {}; },
         }) {
        EXPECT_NE(complaint(change), "");
    }
}

TEST(redis_client_options, no_complaint_shows_the_password) {
    EXPECT_EQ(complaint([](client_options& o) {
                  o.password = "s3cret";
                  o.port = 0;
              }).find("s3cret"),
              std::string::npos);
}

TEST(redis_greeting, authenticates_names_and_selects) {
    client_options options{.user = "u", .password = "p", .database = 3, .client_name = "me"};
    EXPECT_EQ(detail::greeting(options).wire(), command("AUTH", "u", "p").wire() +
                                                    command("CLIENT", "SETNAME", "me").wire() +
                                                    command("SELECT", 3).wire());
    options = {.password = "p"};
    EXPECT_EQ(detail::greeting(options).wire(), command("AUTH", "p").wire());
    EXPECT_EQ(detail::greeting({}).wire(), command("PING").wire());
}

TEST(redis_subscriber_options, name_the_field_that_is_wrong) {
    EXPECT_THROW(validate(subscriber_options{}), std::invalid_argument);
    EXPECT_THROW(validate(subscriber_options{.channels = {"a"}}), std::invalid_argument);
    const auto on_message = [](const published&) {};
    EXPECT_NO_THROW(validate(subscriber_options{.patterns = {"a*"}, .on_message = on_message}));
    EXPECT_THROW(
        validate(subscriber_options{.channels = {"a"}, .on_message = on_message, .ping_interval = {}}),
        std::invalid_argument);
}

}  // namespace
}  // namespace levee::redis
