#include "levee/store/source_from.hpp"

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "levee/core/error.hpp"

namespace levee {
namespace {

namespace asio = boost::asio;

TEST(a_source_from_functions, answers_in_order_and_keeps_failures_to_their_key) {
    const auto from = source_from<int, std::string>([](int key) -> std::optional<std::string> {
        if (key == 13) {
            throw std::runtime_error("unlucky");
        }
        return key < 0 ? std::nullopt : std::optional(std::to_string(key));
    });
    EXPECT_TRUE(from->is_blocking());
    const auto answers = from->load({{.key = 1}, {.key = 13}, {.key = -1}, {.key = 1}});
    ASSERT_EQ(answers.size(), 4U);
    EXPECT_EQ(answers[0].value, "1");
    EXPECT_EQ(answers[1].what, load_outcome::failed);
    EXPECT_THROW(std::rethrow_exception(answers[1].error), std::runtime_error);
    EXPECT_EQ(answers[2].what, load_outcome::not_found);
    EXPECT_EQ(answers[3].value, "1");
}

TEST(a_source_from_functions, is_driven_on_the_callers_thread_when_it_is_made_of_coroutines) {
    const auto from = source_from<int, int>([](int key) -> asio::awaitable<loaded<int>> {
        if (key == 13) {
            throw std::runtime_error("unlucky");
        }
        co_return loaded<int>::found(key * 2);
    });
    EXPECT_FALSE(from->is_blocking());
    const auto answers = from->load({{.key = 4}, {.key = 13}});
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0].value, 8);
    EXPECT_EQ(answers[1].what, load_outcome::failed);
}

TEST(a_source_from_functions, refuses_writes_without_a_store_function) {
    const auto plain = source_from<int, int>([](int key) { return key; });
    const auto coroutine = source_from<int, int>([](int key) -> asio::awaitable<int> { co_return key; });
    for (const auto& from : {plain, coroutine}) {
        try {
            static_cast<void>(from->store({{.key = 1, .value = 2}}));
            FAIL() << "the write was taken";
        } catch (const error& e) {
            EXPECT_EQ(e.code(), errc::read_only);
        }
    }
}

TEST(a_source_from_functions, stores_and_erases_and_reports_each_write) {
    std::map<int, int> table;
    const auto write = [&](const write_op<int, int>& op) {
        if (op.key == 13) {
            throw std::runtime_error("unlucky");
        }
        if (op.value) {
            table[op.key] = *op.value;
        } else {
            table.erase(op.key);
        }
    };
    const auto plain = source_from<int, int>([](int key) { return key; }, write);
    const auto coroutine =
        source_from<int, int>([](int key) -> asio::awaitable<int> { co_return key; },
                              [write](const write_op<int, int>& op) -> asio::awaitable<write_result> {
                                  write(op);
                                  co_return write_result{.error = nullptr, .version = 5};
                              });
    for (const auto& from : {plain, coroutine}) {
        table = {{2, 2}};
        const auto report = from->store({{.key = 1, .value = 10}, {.key = 2}, {.key = 13, .value = 1}});
        EXPECT_EQ(table, (std::map<int, int>{{1, 10}}));
        ASSERT_EQ(report.size(), 3U);
        EXPECT_EQ(report[0].error, nullptr);
        EXPECT_EQ(report[0].version, from == plain ? 0U : 5U);
        EXPECT_NE(report[2].error, nullptr);
    }
}

TEST(a_source, is_read_only_unless_it_says_otherwise) {
    struct readable final : source<int, int> {
        asio::awaitable<std::vector<loaded<int>>> async_load(
            std::vector<load_request<int, int>> wanted) override {
            co_return std::vector<loaded<int>>(wanted.size());
        }
    } from;
    EXPECT_EQ(from.load({{.key = 1}, {.key = 2}}).size(), 2U);
    EXPECT_THROW(static_cast<void>(from.store({{.key = 1}})), error);
    EXPECT_FALSE(from.is_blocking());
}

}  // namespace
}  // namespace levee
